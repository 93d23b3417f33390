"""Files that load: all accepted shapes, names, defaults and warnings."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from statemachine_engine.actors.definition import yaml_nodes
from statemachine_engine.actors.definition.loader import from_dict, load, load_text
from statemachine_engine.actors.definition.model import Definition, Retry, Transition
from statemachine_engine.actors.errors import ConfigError

GOOD = "initial_state: a\ntransitions:\n  - {from: a, to: b, event: e}\n"


def moves(machine: Definition) -> list[tuple[str, str, str]]:
    return [(t.source, t.event, t.target) for t in machine.transitions]


def messages(machine: Definition) -> list[str]:
    return [warning.message for warning in machine.warnings]


def refused(path: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


# Shapes


def test_without_a_list_of_states_every_state_named_in_the_file_counts() -> None:
    machine = load_text(
        "initial_state: a\ntransitions: [{from: [b, c], to: d, event: e}, {from: '*', to: e, event: f}]\n"
        "actions: {g: [{type: log}]}\n"
    )
    assert list(machine.states) == ["a", "b", "c", "d", "e", "g"]
    assert moves(machine) == [("b", "e", "d"), ("c", "e", "d"), ("*", "f", "e")]


def test_waiting_is_the_default_initial_state() -> None:
    assert load_text("states: [idle, waiting]\n").initial_state == "waiting"


def test_states_may_be_a_mapping_with_settings() -> None:
    machine = load_text("""
states:
  waiting: Looks for jobs
  working: {description: Works, group: BUSY, parent: waiting, actions: [{type: bash, command: ls}]}
  done: {outcome: success}
  broken: {final: failure}
  idle:
""")
    working = machine.states["working"]
    assert machine.states["waiting"].description == "Looks for jobs"
    assert (working.description, working.group, working.parent) == ("Works", "BUSY", "waiting")
    assert [action.config["command"] for action in working.actions] == ["ls"]
    assert [state.outcome for state in machine.states.values()] == [None, None, "success", "failure", None]


def test_events_may_be_a_list_or_a_mapping_with_context_maps() -> None:
    listed = load_text(GOOD + "events: [f, e]\n")
    assert list(listed.events) == ["f", "e"]
    mapped = load_text(
        GOOD + "events:\n  e: {context_map: {user: payload.user.0.id}, description: Go}\n  f:\n  g: {}\n"
    )
    assert mapped.events["e"].context_map == {"user": "payload.user.0.id"}
    assert [mapped.events[name].description for name in "efg"] == ["Go", None, None]


def test_events_that_only_transitions_name_are_known_too() -> None:
    assert list(load_text(GOOD).events) == ["e"]


def test_stopped_needs_no_declaration() -> None:
    machine = load_text("states: [waiting]\ntransitions: [{from: '*', to: stopped, event: stop}]\n")
    assert machine.states["stopped"].outcome == "success"
    assert "stopped" not in load_text("states: [waiting]\n").states


def test_empty_sections_count_as_absent() -> None:
    machine = load_text(
        GOOD + "states:\nevents:\nactions:\n  a:\ncontext:\nmetadata:\non_error:\nfinal:\nstate_groups:\n"
    )
    assert (machine.states["a"].actions, machine.on_error, machine.warnings) == ((), Retry(max_delay_s=300), ())


def test_timeouts_are_seconds_and_belong_to_their_states() -> None:
    machine = load_text("""
initial_state: a
transitions:
  - {from: a, to: b, event: timeout(1m30s)}
  - {from: "*", to: a, event: timeout(.5)}
""")
    assert [t.timeout_s for t in machine.transitions] == [90.0, 0.5]
    assert {name: [t.timeout_s for t in state.timeouts] for name, state in machine.states.items()} == {
        "a": [90.0],
        "b": [0.5],
    }


def test_a_final_state_arms_no_timers() -> None:
    machine = load_text(GOOD + "  - {from: '*', to: a, event: timeout(5)}\nfinal: [b]\n")
    assert machine.states["b"].timeouts == ()


def test_transitions_keep_their_place_and_marks() -> None:
    (transition,) = load_text(
        "initial_state: a\ntransitions:\n  - from: a\n    to: b\n    event: e\n    interrupt: yes\n"
    ).transitions
    assert isinstance(transition, Transition)
    assert transition.mark is not None
    assert (transition.mark.line, transition.mark.column, transition.interrupt) == (3, 5, True)


def test_text_outside_ascii_is_taken_everywhere() -> None:
    machine = load_text("initial_state: größe\ntransitions: [{from: größe, to: 🔄, event: naïve 事件}]\n")
    assert moves(machine) == [("größe", "naïve 事件", "🔄")]


def test_anchors_and_merges_save_repetition() -> None:
    machine = load_text("""
x-shell: &shell {type: bash, timeout: 5}
initial_state: a
transitions: [{from: a, to: b, event: e}]
actions:
  a: [{<<: *shell, command: ls, timeout: 9}]
  b: [{<<: [*shell, {command: pwd}]}]
""")
    assert machine.states["a"].actions[0].config == {"type": "bash", "timeout": 9, "command": "ls"}
    assert machine.states["b"].actions[0].config == {"type": "bash", "timeout": 5, "command": "pwd"}
    assert machine.warnings == ()


def test_dates_stay_text_and_numbers_stay_keys() -> None:
    machine = load_text(GOOD + "context: {day: 2026-11-24, codes: {3: late, on: x, 2026-01-01: y}}\n")
    assert machine.context == {"day": "2026-11-24", "codes": {3: "late", "on": "x", "2026-01-01": "y"}}


# Names and settings


def test_the_machines_name_comes_from_the_caller_else_its_metadata_else_its_file(tmp_path: Path) -> None:
    path = tmp_path / "simple_worker.yaml"
    path.write_text(GOOD)
    assert load(path).machine_name == "simple_worker"
    path.write_text(GOOD + "metadata: {machine_name: worker}\n")
    assert load(path).machine_name == "worker"
    assert load(path, machine_name="other").machine_name == "other"
    assert load(path).config_type == "simple_worker"
    assert load(path).source == path


def test_a_name_given_by_the_caller_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "worker.yaml"
    path.write_text(GOOD)
    with pytest.raises(ConfigError, match="machine name '../x' must not contain '/'"):
        load(path, machine_name="../x")


def test_a_machine_named_like_an_address_of_several_is_a_warning() -> None:
    assert [warning.code for warning in load_text(GOOD, machine_name="all").warnings] == ["W019"]


def test_all_settings_are_read() -> None:
    machine = load_text(
        GOOD
        + dedent("""
            name: Worker 1
            description: 5
            metadata: {version: 1.0, job_type: x}
            context: {count: 0, list: [1]}
            on_unhandled: error
            on_error: {tries: 5, delay: 100ms, factor: 1.5, max_delay: 1m}
            template: true
            actions_root: ./actions
        """)
    )
    assert (machine.title, machine.description, machine.template) == ("Worker 1", "5", True)
    assert (machine.metadata, machine.context) == ({"version": 1.0, "job_type": "x"}, {"count": 0, "list": [1]})
    assert (machine.on_unhandled, machine.actions_root) == ("error", "./actions")
    assert machine.on_error == Retry(max=5, delay_s=0.1, factor=1.5, max_delay_s=60.0)
    assert machine.config["metadata"] == {"version": 1.0, "job_type": "x"}


def test_the_title_may_stand_in_the_metadata() -> None:
    assert load_text(GOOD + "metadata: {name: Image Worker}\n").title == "Image Worker"


def test_the_hash_is_equal_for_files_with_the_same_meaning() -> None:
    spaced = load_text("# a comment\ntransitions:\n- {event: e, from: a, to: b}\n\ninitial_state: 'a'\n")
    assert load_text(GOOD).hash == spaced.hash == from_dict(dict(load_text(GOOD).config)).hash
    assert load_text(GOOD + "name: x\n").hash != load_text(GOOD).hash
    assert load_text(GOOD + "context: {c: {1: x, one: y}}\n").hash


def test_python_data_of_the_same_shape_makes_the_same_machine() -> None:
    transitions = [{"from": ("a",), "to": "b", "event": "e"}]
    machine = from_dict({"initial_state": "a", "transitions": transitions}, "worker")
    assert (machine.machine_name, moves(machine)) == ("worker", [("a", "e", "b")])
    transitions.clear()
    assert machine.config["transitions"]


def test_python_data_that_contains_itself_is_refused() -> None:
    config: dict[str, object] = {"initial_state": "a"}
    config["context"] = config
    with pytest.raises(ConfigError, match="nested more than 64 levels deep"):
        from_dict(config)


def test_mistakes_in_python_data_name_the_data() -> None:
    with pytest.raises(ConfigError, match="<dict>:1:1: error: a state must be text, not the boolean 'True'"):
        from_dict({"initial_state": "a", "states": ["a", True]})


# Warnings


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (GOOD + "transition: []\n", "a machine has no key 'transition'", "did you mean 'transitions'?"),
        (GOOD + "    # \nsettings: {}\n", "a machine has no key 'settings'", "known: name, description"),
        (
            "states: {waiting: {descripton: x}}\n",
            "state 'waiting' has no key 'descripton'",
            "did you mean 'description'?",
        ),
        (GOOD + "  - {from: b, to: a, event: f, guard: x}\n", "a transition has no key 'guard'", "known: from, to"),
        (GOOD + "events: {e: {contextmap: {}}}\n", "event 'e' has no key 'contextmap'", "did you mean 'context_map'?"),
        (GOOD + "on_error: {trys: 1}\n", "on_error has no key 'trys'", "did you mean 'tries'?"),
        (GOOD + "events: [ee]\n", "event 'e' is not declared; events: ee", None),
        ("initial_state: a\nstates: [a, b, a]\n", "state 'a' is listed twice", None),
        (GOOD + "events: [e, e]\n", "event 'e' is listed twice", None),
        (GOOD + "actions: {bb: []}\n", "no transition names the state 'bb'", None),
        (GOOD + "actions: {a: [{type: log, message: {id}}]}\n", "{id} without quotes is a mapping", 'quote it: "{id}"'),
        (
            GOOD + "actions: {a: [{type: x, k: 1, params: {k: 2}}]}\n",
            "'k' is given both beside `params` and under it",
            None,
        ),
    ],
)
def test_a_probable_mistake_is_a_warning(text: str, message: str, hint: str | None) -> None:
    (warning,) = load_text(text).warnings
    assert message in warning.message
    assert warning.severity == "warning"
    assert hint is None or hint in (warning.hint or "")


def test_events_of_the_engine_and_timeouts_need_no_declaration() -> None:
    machine = load_text(
        GOOD
        + "  - {from: a, to: b, event: start}\n  - {from: a, to: b, event: timeout(5)}\n"
        + "  - {from: a, to: b, event: error}\n  - {from: a, to: b, event: no_jobs}\nevents: [e]\n"
    )
    assert machine.warnings == ()


def test_keys_beginning_with_x_or_an_underscore_are_the_users_own() -> None:
    assert load_text(GOOD + "x-a: 1\n_b: 2\n.c: 3\n").warnings == ()


# Files


def test_a_missing_file_is_a_config_error_that_names_a_similar_file(tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").write_text(GOOD)
    expected = f"{tmp_path}/wroker.yaml:1:1: error: file not found\n  hint: did you mean 'worker.yaml'?"
    assert refused(tmp_path / "wroker.yaml") == expected
    assert "file not found" in refused(tmp_path / "none" / "worker.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in refused(tmp_path)


def test_a_path_that_no_file_can_have_is_refused() -> None:
    assert "cannot be read" in refused("a\0b")


def test_a_file_that_cannot_be_opened_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "worker.yaml"
    path.symlink_to(path)
    assert "cannot be read: Too many levels of symbolic links" in refused(path)


def test_a_file_without_end_is_refused() -> None:
    assert "larger than 10 MiB" in refused("/dev/zero")


def test_bytes_that_are_not_utf_8_are_refused_at_their_place(tmp_path: Path) -> None:
    path = tmp_path / "worker.yaml"
    path.write_bytes(b"initial_state: a\nname: Gr" + "öße\n".encode("latin-1"))
    assert f"{path}:2:9: error: byte 0xf6 is not UTF-8" in refused(path)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "worker.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert moves(load(path)) == [("a", "e", "b")]


def test_pyyaml_without_its_c_library_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = load_text(GOOD)
    monkeypatch.setattr(yaml_nodes, "_Loader", yaml.SafeLoader)
    assert load_text(GOOD).transitions == quick.transitions
    with pytest.raises(ConfigError, match="1:74: error: nested more than 64 levels deep"):
        load_text("context: " + "[" * 100_000)


def test_thousands_of_mistakes_are_reported_quickly() -> None:
    lines = "".join(f"  - {{from: s{n}, to: z{n}, event: next}}\n" for n in range(3000))
    names = ", ".join(f"s{n}" for n in range(3000))
    with pytest.raises(ConfigError) as caught:
        load_text(f"initial_state: s0\nstates: [{names}]\ntransitions:\n{lines}")
    assert len(caught.value.problems) == 3000
    assert [problem.hint is None for problem in caught.value.problems[98:102]] == [False, False, True, True]


def test_a_large_machine_loads_with_lookups_ready() -> None:
    count = 2000
    lines = "".join(f"  - {{from: s{n}, to: s{n + 1}, event: next}}\n" for n in range(count))
    machine = load_text(f"initial_state: s0\ntransitions:\n{lines}  - {{from: '*', to: s0, event: timeout(9)}}\n")
    assert len(machine.states) == count + 1
    found = machine.find(f"s{count - 1}", "next")
    assert found is not None
    assert found.target == f"s{count}"


def test_the_hint_for_a_control_character_shows_how_that_one_is_written() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(GOOD + "description: a\x01b\n")
    (problem,) = caught.value.problems
    assert problem.hint == 'write it as an escape: "\\x01"'


def test_a_list_of_known_names_has_no_empty_one() -> None:
    with pytest.raises(ConfigError) as caught:
        load_text("states: [a, '', b]\ninitial_state: q\n")
    assert "initial_state 'q' is unknown; known: a, b" in [problem.message for problem in caught.value.problems]
