"""Reads `retry:` of an action: how often, how soon and after which failures it is tried again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypedDict

from .fields import duration_of, number_of, one_or_more, pairs_of, warn_unknown_keys
from .keys import RETRY
from .model import OnError, Retry
from .problems import Problems
from .yaml_nodes import Node

HIGHEST_EXIT_CODE = 255

CLASS_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""What a failure may be called: `timeout`, or a class."""

_ON_AS_TRUE = str(True)
"""The key `on` of a mapping that PyYAML has read: for YAML 1.1 it is a truth value."""


class Waits(TypedDict):
    """How long a policy waits before each try."""

    delay_s: float
    factor: float
    max_delay_s: float


def read_retry(node: Node | None, findings: Problems) -> Retry | None:
    """The policy; None where there is none."""
    if node is None or node.value is None or (not list(pairs_of(node, "retry", findings)) and node.pairs is None):
        return None
    warn_unknown_keys(node, "retry", (*RETRY, _ON_AS_TRUE), findings)
    usual = Retry()
    most = _whole(node.get("max"), findings)
    return Retry(
        max=usual.max if most is None else most,
        **read_waits(node, usual, findings),
        jitter=_share(node.get("jitter"), findings) or 0.0,
        on=frozenset(_failures(node.get("on") or node.get(_ON_AS_TRUE), findings)),
    )


def read_waits(node: Node, usual: Retry | OnError, findings: Problems) -> Waits:
    """`delay`, `factor` and `max_delay` of a policy; the usual ones where it says nothing."""
    delay_s = duration_of(node.get("delay"), "delay", findings)
    factor = number_of(node.get("factor"), "factor", 1, findings)
    max_delay_s = duration_of(node.get("max_delay"), "max_delay", findings)
    return {
        "delay_s": usual.delay_s if delay_s is None else delay_s,
        "factor": usual.factor if factor is None else factor,
        "max_delay_s": usual.max_delay_s if max_delay_s is None else max_delay_s,
    }


# Helpers


def _whole(node: Node | None, findings: Problems) -> int | None:
    number = number_of(node, "max", 0, findings)
    if node is not None and number is not None and number != int(number):
        findings.error(node.mark, f"max must be a whole number, not {node.kind}")
        return None
    return None if number is None else int(number)


def _share(node: Node | None, findings: Problems) -> float | None:
    share = number_of(node, "jitter", 0, findings)
    if node is not None and share is not None and share > 1:
        findings.error(node.mark, f"jitter must be a share from 0 to 1, not {node.kind}", "0.1 is a tenth of the wait")
        return None
    return share


def _failures(node: Node | None, findings: Problems) -> Iterator[int | str]:
    for item in one_or_more(node, "on", findings):
        value = item.value
        if isinstance(value, int) and not isinstance(value, bool):
            if 1 <= value <= HIGHEST_EXIT_CODE:
                yield value
            else:
                message = f"{item.text} is no exit code that means an error"
                findings.error(item.mark, message, f"write a number from 1 to {HIGHEST_EXIT_CODE}")
        elif isinstance(value, str) and CLASS_NAME.fullmatch(value):
            yield value
        else:
            hint = "write 75, timeout, or a class by its last name: ConnectionError"
            findings.error(item.mark, f"on must name exit codes, timeout or exception classes, not {item.kind}", hint)
