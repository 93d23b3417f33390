"""An id is the name itself if that is valid, and no two ids are alike."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.drawing.ids import group_ids_of, ids_of, is_id
from tests.support.oddconfigs import KEYWORDS, PHRASES


def test_plain_names_are_their_own_ids() -> None:
    assert ids_of(["waiting", "in_work", "A1"]) == {"waiting": "waiting", "in_work": "in_work", "A1": "A1"}


def test_dashes_and_spaces_become_underlines_as_in_the_older_engines() -> None:
    assert ids_of(["in-work", "not now"]) == {"in-work": "in_work", "not now": "not_now"}


def test_a_plain_name_keeps_its_id_wherever_it_stands() -> None:
    assert ids_of(["a-b", "a b", "a_b"]) == {"a-b": "a_b_2", "a b": "a_b_3", "a_b": "a_b"}


@pytest.mark.parametrize("word", ["end", "State", "note", "class", "root", "start1", "root_end", "constructor", "9a"])
def test_reserved_words_are_not_ids(word: str) -> None:
    assert not is_id(word)
    assert is_id(ids_of([word])[word])


def test_odd_names_get_valid_and_different_ids() -> None:
    names = [*KEYWORDS, *PHRASES, *(f"{phrase}_2" for phrase in PHRASES)]

    ids = ids_of(names)

    assert list(ids) == list(dict.fromkeys(names))
    assert len(set(ids.values())) == len(ids)
    assert all(is_id(value) for value in ids.values())


def test_a_groups_id_is_its_name_without_spaces() -> None:
    assert group_ids_of(["IDLE", "JOB HANDLING"], ["idle"]) == {"IDLE": "IDLE", "JOB HANDLING": "JOBHANDLING"}


def test_groups_differ_from_states_and_from_the_file_main_and_in_more_than_case() -> None:
    ids = group_ids_of(["idle", "Idle", "MAIN", "work", "A B", "AB"], ["work"])

    assert ids == {"idle": "idle", "Idle": "Idle_2", "MAIN": "MAIN_2", "work": "work_2", "AB": "AB", "A B": "AB_2"}


def test_the_ends_of_a_group_differ_from_every_state_and_group() -> None:
    assert group_ids_of(["G"], ["G_start"]) == {"G": "G_2"}
    assert group_ids_of(["G", "G_end"], []) == {"G": "G", "G_end": "G_end_2"}
