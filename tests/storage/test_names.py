"""Test which texts are valid as stored names, and how other texts are shown."""

from __future__ import annotations

import pytest

from statemachine_engine.storage.names import escaped, machine_name_fault, name_fault


@pytest.mark.parametrize("name", ["worker", "Worker 1", "Kühlhaus-3", "🔄", "a.b_c", "m" * 76])
def test_a_machine_name_may_be_any_text_that_fits_a_path(name: str) -> None:
    assert machine_name_fault(name) is None


@pytest.mark.parametrize("name", ["", " ", "a/b", "../x", "a\0b", "a\nb", "\ud800", "m" * 77, "ü" * 39])
def test_a_machine_name_that_is_no_part_of_a_path_has_a_fault(name: str) -> None:
    assert machine_name_fault(name)


NAMES = ["job_1", "a/b", "../x", "Größe 5 µm", "👩\u200d👧", "Screenshot 3.04\u202fPM", "x" * 1000, "שלום"]
NO_NAMES = ["", "\t", "a\nb", "\x1b[31m", "\x9b31m", "\u202egnp.exe", "\u2066x", "\udcff", "x" * 1001]


@pytest.mark.parametrize("name", NAMES)
def test_a_job_may_have_any_id_that_stands_in_one_line(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_would_forge_a_line_steer_a_terminal_or_turn_text_around_is_no_id(name: str) -> None:
    assert name_fault(name)


def test_what_is_shown_all_the_same_is_shown_escaped() -> None:
    assert escaped("a\nb\x1b[0m\u202e é \udcff") == "a\\nb\\x1b[0m\\u202e é \\udcff"
