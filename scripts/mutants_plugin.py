"""A pytest plugin of scripts/mutants.py: it maps tests to the lines that they run, or runs chosen tests in order."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

MAP, CHOSEN = os.environ.get("MUTANTS_MAP"), os.environ.get("MUTANTS_CHOSEN")
#: in a context of coverage: a test of this process, or (PYTEST_CURRENT_TEST) of the one that started it
TEST = re.compile(r"(tests/\S+?::.*?)(?:\|| \()(?:setup|run|call|teardown)\)?$")
took_s: dict[str, float] = defaultdict(float)


def pytest_configure(config: Any) -> None:
    """Have the processes that tests start be measured too."""
    if MAP and hasattr(config, "workerinput"):
        os.environ["COVERAGE_PROCESS_START"] = config.getoption("--cov-config")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Keep the chosen tests, in their order."""
    if CHOSEN:
        rank = {name: number for number, name in enumerate(json.loads(Path(CHOSEN).read_text()))}
        items[:] = sorted((item for item in items if item.nodeid in rank), key=lambda item: rank[item.nodeid])


def pytest_runtest_logreport(report: Any) -> None:
    """Note how long a test takes; one that fails without a mutation takes for ever."""
    took_s[report.nodeid] += float("inf") if report.failed else report.duration


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(config: Any) -> None:
    """Write the map, once pytest-cov has put the measurements of all processes together."""
    if not MAP or hasattr(config, "workerinput"):
        return
    import coverage

    data = coverage.CoverageData(str(Path(config.getoption("--cov-config")).with_name("coverage")))
    data.read()
    lines = {
        name.partition("/statemachine_engine/")[2]: {
            line: sorted({found[1] for context in contexts if (found := TEST.search(context))})
            for line, contexts in data.contexts_by_lineno(name).items()
        }
        for name in data.measured_files()
    }
    Path(MAP).write_text(json.dumps({"lines": lines, "took_s": took_s}))
