"""Groups of states and how machines end."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.definition.loader import load_text

CHAIN = "initial_state: a\ntransitions: [{from: a, to: b, event: e}, {from: b, to: c, event: e}]\n"


def groups(text: str) -> dict[str, str | None]:
    return {name: state.group for name, state in load_text(text).states.items()}


def outcomes(text: str) -> dict[str, str]:
    return {name: state.outcome for name, state in load_text(text).states.items() if state.outcome}


def test_comments_in_the_list_of_states_begin_groups() -> None:
    text = """
# === NOT ONE ===
initial_state: idle
states:
  - idle
  # === QUEUE STATES ===
  - waiting   # === no header ===
  - claiming
  # an ordinary comment
  - leaving

  #=== FACE WORK ===
  - "working"
events:
  # === NEITHER ===
  - e
"""
    expected = [None, "QUEUE", "QUEUE", "QUEUE", "FACE WORK"]
    assert list(groups(text).values()) == expected


def test_comments_group_a_mapping_of_states_too() -> None:
    text = "states:\n  # === IDLE ===\n  waiting:\n  # === BUSY ===\n  working: {}\n  b: {group: OWN}\n"
    assert groups(text) == {"waiting": "IDLE", "working": "BUSY", "b": "OWN"}


def test_an_inline_list_has_no_groups() -> None:
    assert groups("states: [waiting,\n  # === X ===\n]\n") == {"waiting": None}


def test_state_groups_win_over_comments_and_lose_to_the_state() -> None:
    text = """
states:
  # === COMMENT ===
  waiting:
  b: {group: OWN}
  c:
state_groups:
  LISTED: [waiting, b]
"""
    assert groups(text) == {"waiting": "LISTED", "b": "OWN", "c": "COMMENT"}


def test_state_groups_need_no_list_of_states() -> None:
    text = CHAIN + "state_groups: {G: [a], H: c, I: {states: [b]}}\n"
    assert groups(text) == {"a": "G", "b": "I", "c": "H"}


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ("[b, c]", {"b": "success", "c": "success"}),
        ("c", {"c": "success"}),
        ("{b: failure, c: success}", {"b": "failure", "c": "success"}),
        ("{b: failure, c: }", {"b": "failure", "c": "success"}),
        ("{success: c, failure: [a, b]}", {"a": "failure", "b": "failure", "c": "success"}),
    ],
)
def test_final_names_states_and_how_they_end_the_machine(final: str, expected: dict[str, str]) -> None:
    assert outcomes(CHAIN + f"final: {final}\n") == expected


def test_a_final_state_may_be_called_success() -> None:
    text = "initial_state: a\ntransitions: [{from: a, to: success, event: e}]\nfinal: {success: failure}\n"
    assert outcomes(text) == {"success": "failure"}


def test_stopped_is_final_whatever_leaves_it() -> None:
    text = "initial_state: a\ntransitions: [{from: a, to: stopped, event: e}, {from: stopped, to: a, event: e}]\n"
    assert outcomes(text) == {"stopped": "success"}
    assert outcomes(text + "final: {stopped: failure}\n") == {"stopped": "failure"}
    assert outcomes("states: {waiting: , stopped: {final: false}}\n") == {"stopped": "success"}


@pytest.mark.parametrize("name", ["shutdown", "completed"])
def test_shutdown_and_completed_are_final_unless_a_transition_of_their_own_leaves_them(name: str) -> None:
    text = f"initial_state: a\ntransitions:\n  - {{from: '*', to: {name}, event: stop}}\n"
    assert outcomes(text) == {name: "success"}
    assert outcomes(text + f"  - {{from: {name}, event: ping, internal: true}}\n") == {name: "success"}
    assert outcomes(text + f"  - {{from: [{name}], to: a, event: new_job}}\n") == {}
    assert outcomes(f"states: {{waiting: , {name}: {{final: false}}}}\n") == {}


def test_what_final_says_wins_over_what_the_state_says() -> None:
    assert outcomes("states: {waiting: , b: {outcome: success}}\nfinal: {b: failure}\n") == {"b": "failure"}
