"""Read `retry:` of an action: how often, how soon and after which failures it is tried again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .field_kinds import read_closed
from .fields import one_or_more
from .keys import RETRY
from .model import Retry
from .problems import Problems
from .yaml_nodes import Node

HIGHEST_EXIT_CODE = 255

CLASS_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""What a failure may be called: `timeout`, or a class."""


def read_retry(node: Node | None, problems: Problems) -> Retry | None:
    """Return the policy; None if the action has none."""
    if node is None or node.value is None:
        return None
    values = read_closed(node, "retry", RETRY, problems)
    if node.pairs is None:
        return None
    return Retry(**values, on=frozenset(_failures(node.get("on"), problems)))


def _failures(node: Node | None, problems: Problems) -> Iterator[int | str]:
    for item in one_or_more(node, "on", problems):
        value = item.value
        if isinstance(value, int) and not isinstance(value, bool):
            if 1 <= value <= HIGHEST_EXIT_CODE:
                yield value
            else:
                message = f"{item.text} is not the exit code of a failure"
                problems.error(item.mark, message, f"write a number from 1 to {HIGHEST_EXIT_CODE}")
        elif isinstance(value, str) and CLASS_NAME.fullmatch(value):
            yield value
        else:
            hint = "write 75, timeout, or a class by its last name: ConnectionError"
            problems.error(item.mark, f"on must name exit codes, timeout or exception classes, not {item.kind}", hint)
