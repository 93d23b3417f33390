"""Every crash point once, shared out over two stores; `make chaos` comes to each twenty times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import crashes
from tests.chaos.points import POINTS
from tests.support.postgres import own_server


@pytest.mark.parametrize("half", [0, 1])
def test_nothing_is_lost_and_nothing_done_twice_wherever_a_process_dies(tmp_path: Path, half: int) -> None:
    chosen = [(point, 1) for point in POINTS[half::2]]

    died, _, broken = crashes.run(tmp_path, chosen)

    assert broken == []
    assert died == len(chosen)


def test_no_crash_loses_work_on_postgresql_whose_server_goes_on(tmp_path: Path) -> None:
    chosen = [(point, 1) for point in POINTS if point.moment == "commit"][::3]

    with own_server() as server:
        died, _, broken = crashes.run(tmp_path, chosen, server.url)

    assert broken == []
    assert died == len(chosen)
