"""Any content of a file loads, or raises a ConfigError with a place in the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statemachine_engine.actors.definition.loader import from_dict, load_text
from statemachine_engine.actors.definition.model import Definition
from statemachine_engine.actors.errors import ConfigError
from statemachine_engine.actors.machine.step import enter, step

YAML_LINE = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
WHOLE = """\
name: "Worker"
metadata: {machine_name: worker, version: 1.0}
initial_state: waiting
states:
  # === IDLE ===
  - waiting
  # === BUSY ===
  - working
  - done
state_groups: {END: [done]}
final: {done: success}
events:
  new_job: {context_map: {user: payload.user.id}}
  job_done:
context: &ctx {count: 0, list: [1, 2.5, yes, null, 2026-11-24]}
on_error: {tries: 3, delay: 1s}
on_unhandled: ignore
transitions:
  - {from: waiting, to: working, event: new_job}
  - from: [working]
    to: done
    event: job_done
    actions:
      - type: log
        message: "{id} done"
  - {from: "*", event: timeout(1m30s), internal: true}
actions:
  working:
    - type: bash
      params: {command: "ls", <<: *ctx}
      every: .5
"""

PIECES = ["\t", "\n", " ", "- ", ": ", "{", "}", "[", "]", '"', "'", "*", "&a ", "*a", "!!int ", "!x ", "<<: ", "|\n"]
PIECES += ["yes", "null", "~", "1", "-1", ".5", ".inf", "0x", "1:2", "0b", "=", "timeout(", "%", "@", "# ", "---\n"]
PIECES += [
    "\0",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "🔄",
    "? ",
    "from",
    "to",
    "event",
    "states",
    "stopped",
    "9" * 5000,
]
WORDS = """initial_state states state_groups events transitions actions context final metadata on_error on_unhandled
    name from to event type params success every lease internal waiting working machine_name context_map outcome"""

keys = st.sampled_from(WORDS.split())
names = st.text(max_size=3) | st.integers()
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars | st.sampled_from(["waiting", "*", "timeout(1)"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | names, inner, max_size=5),
    max_leaves=25,
)
places = st.integers(0, len(WHOLE))
pieces = st.sampled_from(PIECES) | st.text(max_size=3)
edits = st.lists(st.tuples(places, st.integers(0, 30), pieces), min_size=1, max_size=4)


def loaded(load: Callable[[], Definition]) -> Definition | ConfigError:
    """Return the machine or the error; any other exception fails the test."""
    try:
        return load()
    except ConfigError as error:
        return error


def check(text: str) -> None:
    """Load, and check the machine or the error."""
    outcome = loaded(lambda: load_text(text))
    if isinstance(outcome, ConfigError):
        last_line = len(YAML_LINE.split(text)) + 1
        assert outcome.problems
        assert all(1 <= p.line <= last_line and p.column >= 1 and p.message for p in outcome.problems), outcome
    else:
        enter(outcome)
        assert all(step(outcome, name, event) for name in outcome.states for event in outcome.allowed(name))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits)
def test_a_damaged_file_loads_or_is_a_config_error(changes: list[tuple[int, int, str]]) -> None:
    text = WHOLE
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    check(text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=15).map("".join))
def test_any_text_loads_or_is_a_config_error(text: str) -> None:
    check(text)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, values, max_size=8))
def test_any_data_loads_or_is_a_config_error(config: dict[str, Any]) -> None:
    outcome = loaded(lambda: from_dict(config))
    assert outcome.problems if isinstance(outcome, ConfigError) else enter(outcome)


def test_the_undamaged_file_loads_without_warnings() -> None:
    assert load_text(WHOLE).warnings == ()
