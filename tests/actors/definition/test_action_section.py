"""The actions of a state or transition are read with all their keys."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine_engine.actors.definition.loader import from_dict
from statemachine_engine.actors.definition.model import ActionSpec, Retry
from statemachine_engine.actors.errors import Problem

KEYS = {"log": {"message": "", "level": ""}, "bash": {"command": "", "timeout": ""}}


def read(*actions: dict[str, Any]) -> tuple[tuple[ActionSpec, ...], tuple[Problem, ...]]:
    config = {"initial_state": "a", "actions": {"a": list(actions)}}
    machine = from_dict(config, known_keys=KEYS.get)
    return machine.states["a"].actions, machine.warnings


def config_of(action: dict[str, Any]) -> dict[str, Any]:
    (spec,), _ = read(action)
    return dict(spec.config)


def hints(action: dict[str, Any]) -> list[str | None]:
    return [warning.hint for warning in read(action)[1]]


def test_flat_keys_are_the_config_as_written() -> None:
    assert config_of({"type": "log", "message": "hi"}) == {"type": "log", "message": "hi"}


def test_params_are_keys_like_the_flat_ones_and_stay_readable_as_params() -> None:
    params = {"my_param": "value", "success": "job_done"}
    assert config_of({"type": "mine", "params": params}) == {"type": "mine", **params, "params": params}


def test_a_flat_key_wins_over_one_under_params() -> None:
    config = config_of({"type": "mine", "a": 1, "params": {"a": 2, "b": 3}})
    assert config == {"type": "mine", "a": 1, "b": 3, "params": {"a": 1, "b": 3}}


def test_empty_params_are_none() -> None:
    assert config_of({"type": "log", "params": None}) == {"type": "log"}


@pytest.mark.parametrize(
    ("keys", "every_s"),
    [
        ({}, None),
        ({"repeatable": True}, 0.5),
        ({"repeatable": "yes"}, 0.5),
        ({"repeatable": False, "every": 5}, None),
        ({"run_policy": "repeat_per_tick"}, 0.5),
        ({"run_policy": "repeat", "every": "1m"}, 60.0),
        ({"run_policy": "once"}, None),
        ({"every": "2s"}, 2.0),
    ],
)
def test_an_action_repeats_if_one_of_its_keys_asks_for_it(keys: dict[str, Any], every_s: float | None) -> None:
    (spec,), _ = read({"type": "log", **keys})
    assert spec.every_s == every_s


def test_misspelt_keys_of_known_actions_are_warned_about_flat_and_under_params() -> None:
    assert hints({"type": "log", "mesage": "hi"}) == ["did you mean 'message'?"]
    assert hints({"type": "bash", "params": {"comand": "ls"}}) == ["did you mean 'command'?"]
    assert hints({"type": "log", "sucess": "e"}) == ["did you mean 'success'?"]


def test_keys_of_custom_actions_are_their_own() -> None:
    assert hints({"type": "mine", "whatever": 1}) == []


def test_a_key_that_the_action_uses_as_a_placeholder_is_no_warning() -> None:
    assert hints({"type": "bash", "command": "convert {file}", "params": {"file": "/tmp/x", "fil": 1}}) == [None]


def test_a_lease_may_come_from_the_context() -> None:
    assert config_of({"type": "claim_job", "lease": "{lease}"})["lease"] == "{lease}"


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_action_may_yield_no_event(nothing: str | None) -> None:
    assert config_of({"type": "log", "success": nothing}) == {"type": "log", "success": nothing}


def test_specs_can_be_kept_in_sets() -> None:
    specs, _ = read({"type": "log"}, {"type": "bash", "command": "ls"})
    assert len({*specs, *specs}) == 2


def test_a_retry_has_default_values() -> None:
    (spec,), warnings = read({"type": "mine", "retry": {"on": "timeout"}})

    assert spec.retry == Retry(3, 1.0, 2.0, 60.0, 0.0, frozenset({"timeout"}))
    assert not warnings


def test_a_retry_may_stand_under_params_but_the_one_beside_it_wins() -> None:
    (under, beside), _ = read(
        {"type": "mine", "params": {"retry": {"max": 1, "delay": "1m"}}},
        {"type": "mine", "retry": {"max": 2, "on": [75, "OSError"]}, "params": {"retry": {"max": 1}}},
    )

    assert under.retry == Retry(1, 60.0)
    assert beside.retry == Retry(2, on=frozenset({75, "OSError"}))


def test_an_unknown_key_of_a_retry_is_a_warning() -> None:
    _, (warning,) = read({"type": "mine", "retry": {"maxx": 1}})

    assert (warning.message, warning.hint) == ("retry has no key 'maxx'; it is ignored", "did you mean 'max'?")
