"""Actions are found by file and class name, the user's before ours."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from statemachine_engine.actors.actions.bash_action import BashAction
from statemachine_engine.actors.actions.errors import ActionLoadError, UnknownAction
from statemachine_engine.actors.actions.registry import ActionRegistry, builtin_types, keys_of

ACTION = """
from statemachine_engine.actions import BaseAction

class {name}(BaseAction):
    async def execute(self, context):
        return {event!r}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = tmp_path / "project" / "actions"
    made.mkdir(parents=True)
    return made


def write(path: Path, source: str, *, at_s: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    if at_s is not None:
        os.utime(path, (at_s, at_s))
    return path


def write_action(path: Path, name: str, event: str = "done", *, at_s: int | None = None) -> Path:
    return write(path, ACTION.format(name=name, event=event), at_s=at_s)


def test_every_builtin_can_be_loaded_and_explains_its_keys():
    registry = ActionRegistry()
    for action_type in registry.types():
        action = registry.find(action_type)
        assert action.__module__.endswith(f"{action_type}_action")
        assert action.keys
        assert all(meaning and "\n" not in meaning for meaning in action.keys.values())
        assert action.__doc__


def test_the_builtins_are_those_of_both_older_engines_and_ours():
    assert sorted(builtin_types()) == sorted(
        [
            "log",
            "activity_log",
            "http_request",
            "sleep",
            "bash",
            "check_database_queue",
            "send_event",
            "clear_events",
            "check_machine_state",
            "check_events",
            "complete_job",
            "fail_job",
            "retry_job",
            "enqueue_job",
            "claim_job",
            "get_pending_jobs",
            "pop_from_list",
            "add_to_list",
            "set_context",
            "wait_for_jobs",
            "start_fsm",
        ]
    )


def test_a_builtin_is_imported_on_its_first_use():
    code = """
        import sys
        from statemachine_engine.actors.actions.registry import ActionRegistry
        registry = ActionRegistry()
        ours = lambda: {name.rpartition(".")[2] for name in sys.modules if name.endswith("_action")}
        assert ours() == set(), ours()
        registry.find("sleep")
        assert ours() == {"sleep_action"}, ours()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_a_custom_action_is_found_by_its_file(folder):
    write_action(folder / "my_custom_action.py", "MyCustomAction")

    assert ActionRegistry(folder).find("my_custom").__name__ == "MyCustomAction"


def test_subfolders_are_searched(folder):
    write_action(folder / "images" / "raw" / "resize_action.py", "ResizeAction")

    assert ActionRegistry(folder).find("resize").__name__ == "ResizeAction"


@pytest.mark.parametrize("name", ["SendHTTPAction", "SendHttpAction", "sendhttp_action"])
def test_capitals_of_the_class_name_do_not_matter(folder, name):
    write_action(folder / "send_http_action.py", name)

    assert ActionRegistry(folder).find("send_http").__name__ == name


def test_the_only_action_of_a_file_may_have_any_name(folder):
    write_action(folder / "resize_action.py", "Shrinker")

    assert ActionRegistry(folder).find("resize").__name__ == "Shrinker"


def test_an_imported_action_does_not_count_as_the_files_own(folder):
    write(
        folder / "loud_action.py",
        """
        from statemachine_engine.actions.builtin import BashAction

        class Loud(BashAction):
            pass
        """,
    )

    found = ActionRegistry(folder).find("loud")
    assert found.__name__ == "Loud"
    assert issubclass(found, BashAction)


def test_several_actions_and_none_of_the_right_name_are_an_error_naming_them(folder):
    write(folder / "two_action.py", ACTION.format(name="One", event="a") + ACTION.format(name="Other", event="b"))

    with pytest.raises(ActionLoadError, match=r"none of its action classes is named TwoAction: One, Other"):
        ActionRegistry(folder).find("two")


def test_a_file_without_an_action_says_what_is_missing(folder):
    write(folder / "empty_action.py", "VALUE = 1")

    with pytest.raises(ActionLoadError, match=r"defines no class EmptyAction\(BaseAction\)"):
        ActionRegistry(folder).find("empty")


@pytest.mark.parametrize("action_type", ["log", "sleep", "bash"])
def test_a_custom_action_beats_every_builtin(folder, action_type):
    write_action(folder / f"{action_type}_action.py", f"{action_type.title()}Action")

    registry = ActionRegistry(folder)
    assert registry.find(action_type).__module__.startswith("statemachine_custom_")
    assert registry.keys_of(action_type) is None
    assert ActionRegistry().find(action_type).__module__.startswith("statemachine_engine.")


def test_builtins_stay_reachable_beside_custom_actions(folder):
    write_action(folder / "resize_action.py", "ResizeAction")

    assert ActionRegistry(folder).find("bash") is BashAction


def test_the_folder_above_the_actions_is_importable(folder):
    write(folder.parent / "shared_helper_of_this_test.py", "EVENT = 'helped'")
    write(
        folder / "helped_action.py",
        """
        from shared_helper_of_this_test import EVENT
        from statemachine_engine.actions import BaseAction

        class HelpedAction(BaseAction):
            def execute(self, context):
                return EVENT
        """,
    )

    assert ActionRegistry(folder).find("helped")({}).execute({}) == "helped"


def test_an_edited_file_counts_from_the_next_find_on(folder):
    path = write_action(folder / "edited_action.py", "EditedAction", "before", at_s=1_000_000)
    registry = ActionRegistry(folder)
    before = registry.find("edited")
    assert registry.find("edited") is before

    write_action(path, "EditedAction", "after!", at_s=1_000_001)

    after = registry.find("edited")
    assert after is not before
    assert "after!" in path.read_text()
    assert registry.find("edited") is after


def test_a_file_that_appears_or_goes_away_is_noticed(folder):
    registry = ActionRegistry(folder)
    path = write_action(folder / "log_action.py", "LogAction")
    os.utime(folder, (1_000_000, 1_000_000))
    assert registry.find("log").__module__.startswith("statemachine_custom_")

    path.unlink()
    assert registry.find("log").__module__.startswith("statemachine_engine.")


def test_a_broken_edit_is_an_error_until_it_is_mended(folder):
    path = write_action(folder / "shaky_action.py", "ShakyAction", at_s=1_000_000)
    registry = ActionRegistry(folder)
    registry.find("shaky")

    write(path, "class ShakyAction(:", at_s=1_000_001)
    for _ in range(2):
        with pytest.raises(ActionLoadError, match=r"SyntaxError.*shaky_action\.py:1"):
            registry.find("shaky")

    write_action(path, "ShakyAction", at_s=1_000_002)
    assert registry.find("shaky").__name__ == "ShakyAction"


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("import os\nimport no_such_module_here\n", "ModuleNotFoundError: No module named 'no_such_module_here'", 2),
        ("a = 1\n\n1 / 0\n", "ZeroDivisionError: division by zero", 3),
        ("x = (\n", "SyntaxError: '(' was never closed", 1),
        ("import sys\nsys.exit('enough')\n", "SystemExit: enough", 2),
    ],
)
def test_the_real_import_error_is_shown_with_its_place(folder, source, message, line):
    path = write(folder / "bad_action.py", source)

    with pytest.raises(ActionLoadError) as caught:
        ActionRegistry(folder).find("bad")

    assert str(caught.value) == f"Could not load action 'bad': {message} ({path}:{line})"
    assert caught.value.__cause__ is not None


def test_an_unknown_type_names_what_comes_near_and_where_was_looked(folder):
    write_action(folder / "resize_action.py", "ResizeAction")

    with pytest.raises(UnknownAction) as caught:
        ActionRegistry(folder).find("resise")

    assert "Could not load action 'resise'" in str(caught.value)
    assert "did you mean 'resize'?" in str(caught.value)
    assert str(folder) in str(caught.value)


def test_two_files_of_one_name_are_warned_of_and_the_first_is_used(folder, caplog):
    first = write_action(folder / "a" / "twin_action.py", "TwinAction", "first")
    second = write_action(folder / "b" / "twin_action.py", "TwinAction", "second")

    with caplog.at_level(logging.WARNING):
        registry = ActionRegistry(folder)

    assert f"{first} is used, {second} is not" in caplog.text
    assert Path(sys.modules[registry.find("twin").__module__].__file__ or "") == first


def test_symbolic_links_that_go_in_circles_end(folder):
    write_action(folder / "sub" / "deep_action.py", "DeepAction")
    (folder / "sub" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "sub" / "self").symlink_to(folder / "sub", target_is_directory=True)

    assert ActionRegistry(folder).find("deep").__name__ == "DeepAction"


def test_hidden_folders_and_caches_are_left_out(folder):
    write_action(folder / ".venv" / "hidden_action.py", "HiddenAction")
    write_action(folder / "__pycache__" / "cached_action.py", "CachedAction")

    assert {"hidden", "cached"}.isdisjoint(ActionRegistry(folder).types())


def test_a_folder_that_comes_later_is_found(folder):
    registry = ActionRegistry(folder / "later")
    write_action(folder / "later" / "late_action.py", "LateAction")

    assert registry.find("late").__name__ == "LateAction"


def test_two_registries_load_two_files_of_one_type(folder):
    one, other = folder / "one", folder / "other"
    write_action(one / "same_action.py", "SameAction", "from_one")
    write_action(other / "same_action.py", "SameAction", "from_other")

    found = ActionRegistry(one).find("same"), ActionRegistry(other).find("same")
    assert found[0] is not found[1]
    assert found[0].__module__ != found[1].__module__


def test_keys_of_a_builtin_are_known_and_of_others_not():
    assert "command" in (keys_of("bash") or {})
    assert keys_of("no_such_action") is None


def test_a_folder_that_is_half_the_disk_or_closed_is_looked_through_so_far_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("statemachine_engine.actors.actions.registry.MOST_FOLDERS", 5)
    for number in range(9):
        (tmp_path / f"f{number}").mkdir()
    ActionRegistry(tmp_path, tmp_path / "none")
    assert "the limit is 5" in caplog.text
