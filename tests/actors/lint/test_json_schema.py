"""The schema for editors takes what the engine takes, refuses wrong forms, and explains every key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from statemachine_engine.actors.actions.registry import builtin, builtin_types
from statemachine_engine.actors.definition import keys
from statemachine_engine.actors.definition.problems import Problems
from statemachine_engine.actors.definition.yaml_nodes import compose
from statemachine_engine.actors.errors import ConfigError
from statemachine_engine.actors.lint.json_schema import schema
from tests.actors import test_seed_snippets as seed
from tests.actors.definition import test_bad_configs as refused
from tests.actors.lint import corpus
from tests.actors.lint.corpus import Entry
from tests.actors.lint.test_examine import EXAMPLES, GOOD, SEED

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "actors" / "statemachine.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(schema())
SHAPES = [entry for entry in corpus.broken() if entry.shape]
SEMANTIC = (
    "an unquoted off as a key",  # JSON has only text as keys, and so has YAML 1.2, which editors read
    "an endless timeout",
    "no initial state",
    "actions in two places",
    "an internal transition that leaves",
    "a state in itself",
    "actions of an unquoted on",
)


def parsed(text: str) -> Any:
    return compose(text, "worker.yaml", Problems()).value


def complaints(text: str) -> list[str]:
    return [f"{list(error.path)}: {error.message}" for error in VALIDATOR.iter_errors(parsed(text))]


def test_it_is_a_schema_of_the_draft_it_names() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())

    assert schema()["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_an_example_is_valid(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_an_examples_first_line_leads_an_editor_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)

    assert named
    assert (path.parent / named[1]).resolve() == SHIPPED


@pytest.mark.parametrize("entry", GOOD, ids=lambda entry: entry.title)
def test_a_good_machine_is_valid(entry: Entry) -> None:
    assert complaints(entry.text) == []


@pytest.mark.parametrize("name", SEED)
def test_a_snippet_of_the_seed_is_valid(name: str) -> None:
    assert complaints(getattr(seed, name)) == []


@pytest.mark.parametrize("entry", SHAPES, ids=lambda entry: entry.title)
def test_a_wrong_form_is_refused(entry: Entry) -> None:
    assert complaints(entry.text) != []


def wrong_forms() -> Iterator[Any]:
    """Yield the texts that are YAML and that the loader refuses for their form, not for an unknown name."""
    for bad in refused.TABLE:
        text, _ = refused.without_arrows(bad.text)
        problems = Problems()
        try:
            compose(text, "x", problems)
        except ConfigError:
            continue
        if not problems.errors and "unknown" not in bad.title and bad.title not in SEMANTIC:
            yield pytest.param(text, id=bad.title)


@pytest.mark.parametrize("text", list(wrong_forms()))
def test_a_wrong_form_that_the_loader_refuses_is_refused(text: str) -> None:
    assert complaints(text) != []


@pytest.mark.parametrize("text", ["5", "'5'", "'.5'", "250ms", "90s", "1m30s", "2h", "1d", "1d2h3m4s5ms", "' 5s '"])
def test_a_duration_may_be_written_in_every_way(text: str) -> None:
    assert complaints(f"on_error: {{delay: {text}}}\n") == []


@pytest.mark.parametrize("text", ["soon", "''", "5 minutes", "-1", "[5]", "5y", "1s1m", "true"])
def test_a_wrong_duration_is_refused(text: str) -> None:
    assert complaints(f"on_error: {{delay: {text}}}\n") != []


def test_an_unknown_key_is_refused_but_the_users_own_keys_are_valid() -> None:
    assert complaints("initial_stat: a\n") != []
    assert complaints("x-anything: a\n_note: b\n.hidden: c\n") == []


def test_required_keys_may_stand_under_params_and_have_other_names() -> None:
    action = "actions:\n  a:\n    - {type: %s}\n"
    good = [
        "send_event, target: x",
        "send_event, params: {target: x}",
        "bash, allow_job_command: true",
        "set_context, key: x, params: {value: 1}",
    ]
    assert [complaints(action % text) for text in good] == [[]] * len(good)
    assert complaints(action % "set_context, key: x") != []


def test_every_key_of_the_loader_is_explained_in_its_place() -> None:
    whole = schema()
    defs = whole["$defs"]
    states, events = (defs[name]["anyOf"][2]["additionalProperties"]["anyOf"][1] for name in ("states", "events"))
    schedule = whole["properties"]["schedules"]["anyOf"][1]["additionalProperties"]
    places = [
        (keys.MACHINE, whole),
        (keys.METADATA, defs["metadata"]["anyOf"][1]),
        (keys.STATE_FIELDS, states),
        (keys.EVENT, events),
        (keys.TRANSITION, defs["transition"]),
        (keys.ACTION, defs["action"]),
        (keys.RETRY, defs["retry"]["anyOf"][1]),
        (keys.SCHEDULE, schedule),
        (keys.SCHEDULED_JOB, schedule["properties"]["job"]["anyOf"][1]),
        (keys.SCHEDULED_EVENT, schedule["properties"]["event"]["anyOf"][1]),
        (keys.ON_ERROR, whole["properties"]["on_error"]["anyOf"][1]),
    ]
    for described, place in places:
        explained = {key: value["description"] for key, value in place["properties"].items()}
        assert explained == {key: field.meaning for key, field in described.items()}


@pytest.mark.parametrize("name", sorted(builtin_types()))
def test_every_key_of_an_action_is_explained(name: str) -> None:
    properties = schema()["$defs"][f"action_{name}"]["properties"]

    explained = {key: value["description"] for key, value in properties.items() if key != "params"}
    assert explained == builtin(name).keys


@pytest.mark.parametrize("name", sorted(builtin_types()))
def test_an_action_declares_events_and_keys_that_it_has(name: str) -> None:
    kind = builtin(name)
    events: Any = kind.events

    assert set(events) <= {*kind.keys, "error"}
    assert {*kind.required_keys, *kind.stores, *kind.same_as, *kind.same_as.values()} <= {*kind.keys, "error"}


def test_the_file_that_ships_is_up_to_date() -> None:
    told = "run: statemachine-validate --schema > actors/statemachine.schema.json"

    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == schema(), told
