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

EXIT_CODES = range(1, 256)
STATUSES = range(300, 600)
"""The numbers that a failure may have: of a command, of an answer of HTTP."""

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
            if value in EXIT_CODES or value in STATUSES:
                yield value
            else:
                message = f"{item.text} is not the exit code or the status of a failure"
                problems.error(item.mark, message, "write a number from 1 to 255, or a status of HTTP from 300 to 599")
        elif isinstance(value, str) and CLASS_NAME.fullmatch(value):
            yield value
        else:
            hint = "write 75, timeout, or a class by its last name: ConnectionError"
            problems.error(item.mark, f"on must name exit codes, timeout or exception classes, not {item.kind}", hint)
