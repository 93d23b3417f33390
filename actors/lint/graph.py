"""Walk the graph of states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Steps = Mapping[str, set[str]]
"""State -> the states one transition away."""


def connected(states: Iterable[str], steps: Steps) -> set[str]:
    """Return every state that can be reached from some states by one step or more."""
    reached: set[str] = set()
    waiting = list(states)
    while waiting:
        new = steps[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def backwards(steps: Steps) -> dict[str, set[str]]:
    """Return the same steps, reversed."""
    back: dict[str, set[str]] = {state: set() for state in steps}
    for state, targets in steps.items():
        for target in targets:
            back[target].add(state)
    return back
