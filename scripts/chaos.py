"""Attack the engine for three quarters of an hour, and report anything lost or done twice: `make chaos`.

Real processes work on one store while they are killed, stopped and ended at random, also with the database server
crashing under their feet; then a process dies at each named point between two steps, on either database. What is left
in the database is held against what the senders were told and what the actions wrote down. The short forms are tests:
`tests/chaos/`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from tests.chaos import campaign, crashes
from tests.chaos.campaign import Plan
from tests.chaos.points import POINTS
from tests.support.postgres import own_server

#: campaign -> its plan at full length
PLANS = {
    "kill": Plan(jobs=5000, events=20_000, rounds=300, seed=0, kinds={"kill": 1}),
    "terminate": Plan(jobs=2000, events=8000, rounds=120, seed=0, kinds={"terminate": 1}),
    "stop": Plan(jobs=2000, events=8000, rounds=150, seed=0, kinds={"kill": 3, "terminate": 1, "stop": 2}, job_s=0.05),
    "postgres": Plan(jobs=1000, events=4000, rounds=100, seed=0, kinds={"kill": 5, "server": 1}),
}
#: a process is killed at each point in turn, on SQLite and on PostgreSQL
POINTS_OF = {"points": False, "points-postgres": True}
CAMPAIGNS = [*PLANS, *POINTS_OF]
TURNS = 20
HEADER = "| campaign | seed | disturbances | jobs | events | repeated | fenced | minutes | lost or twice |"


def main() -> int:
    """Run the campaigns. Return 0 if nothing was lost and nothing done twice."""
    args = _arguments()
    seed = args.seed if args.seed is not None else random.randrange(10**6)
    print(f"seed {seed}: --seed {seed} puts in the same load and makes the same choices\n\n{HEADER}")
    print("|" + " --- |" * HEADER.count(" | ") + " --- |", flush=True)
    broken = []
    for name in args.campaigns:
        line, found = _carried_out(name, seed, args.share)
        print(line, flush=True)
        broken += found
    print("\n" + "\n".join(broken or ["Nothing was lost, and nothing done twice."]))
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("campaigns", nargs="*", default=CAMPAIGNS, help=f"{', '.join(CAMPAIGNS)}; all")
    parser.add_argument("--seed", type=int, help="repeat an earlier run")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the full length: 0.1 is a tenth, 3.4 a thousand kills"
    )
    args = parser.parse_args()
    unknown = set(args.campaigns) - set(CAMPAIGNS)
    if unknown:
        parser.error(f"no campaign is called {', '.join(sorted(unknown))}")
    return args


def _carried_out(name: str, seed: int, share: float) -> tuple[str, list[str]]:
    """Run a campaign, and return its row and the promises that were broken."""
    if name in POINTS_OF:
        return _points(name, seed, max(1, round(TURNS * share)))
    full = PLANS[name]
    jobs, events, rounds = (max(1, round(number * share)) for number in (full.jobs, full.events, full.rounds))
    return _campaign(name, replace(full, jobs=jobs, events=events, rounds=rounds, seed=seed))


def _campaign(name: str, plan: Plan) -> tuple[str, list[str]]:
    folder = _folder(name)
    try:
        if name == "postgres":
            with own_server() as server:
                report = campaign.run(folder, plan, url=server.url, restart_server=server.restart)
        else:
            report = campaign.run(folder, plan)
    except pytest.skip.Exception as left_out:
        return _row(name, plan.seed, left_out, "", "", "", "", "", ""), []
    done = ", ".join(f"{count} {what}" for what, count in sorted(report.disturbances.items()))
    figures = (name, plan.seed, done, report.jobs, report.events, report.repeated, report.fenced)
    return _row(*figures, f"{report.took_s / 60:.1f}", len(report.faults)), _kept(folder, report.faults)


def _points(name: str, seed: int, turns: int) -> tuple[str, list[str]]:
    rng, started, died, broken = random.Random(seed), time.monotonic(), 0, []
    for _ in range(turns):
        chosen = [(point, 1 if point.needs else rng.choice((1, 1, 2))) for point in rng.sample(POINTS, len(POINTS))]
        folder = _folder(name)
        try:
            with own_server() if POINTS_OF[name] else nullcontext() as server:
                crashed, _, found = crashes.run(folder, chosen, server and server.url)
        except pytest.skip.Exception as left_out:
            return _row(name, seed, left_out, "", "", "", "", "", ""), []
        died += crashed
        broken += _kept(folder, found)
    minutes = f"{(time.monotonic() - started) / 60:.1f}"
    done = f"{died} crashes at {len(POINTS)} points"
    return _row(name, seed, done, "", "", "", "", minutes, len(broken)), broken


def _folder(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"statemachine-chaos-{name}-"))


def _kept(folder: Path, faults: list[str]) -> list[str]:
    """Return the faults with the folder of their evidence; without faults, remove it."""
    if not faults:
        shutil.rmtree(folder)
    return [f"{folder}: {fault}" for fault in faults]


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
