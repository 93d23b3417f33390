"""The documentation stays within the limits of scripts/prose.py, and the sources are free of retired names."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "prose.py"
spec = importlib.util.spec_from_file_location("prose", SCRIPT)
assert spec is not None
assert spec.loader is not None
prose = importlib.util.module_from_spec(spec)
spec.loader.exec_module(prose)

PAGE = """# Title

The job is taken by a worker. Machines take jobs, and `statemachine-db` lists them; that's all.

- It anew opens.
| the table was | never opened |

```sh
the block is opened
```
"""


def test_pages_keep_the_limits() -> None:
    assert list(prose.faults_of([prose.measure(path) for path in prose.PAGES])) == []


def test_sources_are_free_of_retired_names_and_puzzles() -> None:
    assert list(prose.retired_names()) == []


def test_a_page_is_measured_without_its_blocks() -> None:
    assert list(prose.sentences(PAGE)) == [
        "The job is taken by a worker.",
        "Machines take jobs, and `code` lists them; that's all.",
        "It anew opens.",
        "the table was",
    ]
    assert list(prose.retired_in(PAGE)) == ["anew"]


def test_a_passive_sentence_has_a_form_of_be_and_a_participle() -> None:
    passive = ["It is taken.", "They were not yet opened.", "Rows can be safely written."]
    active = ["It is a taken seat.", "The opened file is big.", "It has written rows."]

    assert [bool(prose.PASSIVE.search(sentence)) for sentence in passive] == [True, True, True]
    assert not any(prose.PASSIVE.search(sentence) for sentence in active)


def test_retired_phrases_are_found_in_comments_and_docstrings() -> None:
    source = 'def f():\n    """Whether it\n    began anew."""\n    return 1  # by now\n'

    assert sorted(prose.retired_in_python(source)) == ["'anew'", "'by now'", "docstring 'Whether ...'"]


def test_retired_words_are_found_in_scripts() -> None:
    assert list(prose.retired_in_script("const rows = tallyOf(all); // View")) == ["tally_Of"]


@pytest.mark.parametrize("name", ["Household", "_letter_of", "JobDesk", "test_a_bell_wakes_it"])
def test_a_retired_name_is_found_in_an_identifier(name: str) -> None:
    assert prose.is_retired(name)


@pytest.mark.parametrize("name", ["test_plain_names_stay_readable", "m0008_troubles", "lettering"])
def test_other_names_and_names_of_data_are_kept(name: str) -> None:
    assert not prose.is_retired(name)
