"""Rounds, medians and the table: a benchmark's floors are measured in each round beside it, so that drift cancels."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: one figure each, by name
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    #: what the reader sees
    label: str
    #: name of the figure
    figure: str
    unit: str
    #: names of the figures it is compared with
    floors: tuple[str, ...] = ()
    #: to be reached, or (`lower`) not to be passed
    target: float | None = None
    #: of the ratio to the first floor
    target_ratio: float | None = None
    #: less is better
    lower: bool = False


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Something that is measured round by round."""

    name: str
    rows: tuple[Row, ...]
    #: what a floor is called in the table
    floor_labels: Mapping[str, str]
    #: measures every figure once; `quick` takes smaller amounts
    measure: Callable[[bool], Figures]
    rounds: int = 5


@dataclass(slots=True)
class Result:
    """A row and what was measured for it and its floors, in order of the rounds."""

    row: Row
    samples: list[float]
    floors: dict[str, list[float]] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The median round's figure."""
        return statistics.median(self.samples)

    def ratio(self, floor: str) -> float:
        """Return the median over the rounds of the figure divided by the same round's floor."""
        pairs = zip(self.samples, self.floors[floor], strict=True)
        return statistics.median(own / other if other else float("inf") for own, other in pairs)

    @property
    def holds(self) -> bool | None:
        """Return True if the targets are reached; None without targets."""
        row, checks = self.row, []
        if row.target is not None:
            checks.append(self.value <= row.target if row.lower else self.value >= row.target)
        if row.target_ratio is not None:
            checks.append(self.ratio(next(iter(self.floors))) >= row.target_ratio)
        return all(checks) if checks else None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "label": self.row.label,
            "unit": self.row.unit,
            "median": self.value,
            "samples": self.samples,
            "floors": {
                name: {"median": statistics.median(samples), "samples": samples, "ratio": self.ratio(name)}
                for name, samples in self.floors.items()
            },
            "target": self.row.target,
            "target_ratio": self.row.target_ratio,
            "holds": self.holds,
        }


def run(benchmark: Benchmark, *, quick: bool) -> list[Result]:
    """Run all rounds of a benchmark, and return its measured rows. Progress goes to stderr."""
    rounds: list[Figures] = []
    count = 1 if quick else benchmark.rounds
    for number in range(1, count + 1):
        print(f"{benchmark.name}: round {number} of {count}", file=sys.stderr, flush=True)
        rounds.append(benchmark.measure(quick))
    return [_result(row, benchmark, rounds) for row in benchmark.rows if row.figure in rounds[0]]


def table(results: list[Result]) -> str:
    """Return a Markdown table, aligned for the terminal too."""
    lines: list[tuple[str, ...]] = [("", "median", "min – max", "floor", "its median", "ratio", "target", "")]
    for result in results:
        lines += _lines(result)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [_line(line, widths) for line in lines]
    rule = "|".join("-" * (width + 2) for width in widths)
    return "\n".join([text[0], f"|{rule}|", *text[1:]])


# Helpers

_RIGHT = (1, 4, 5, 6)


def _result(row: Row, benchmark: Benchmark, rounds: list[Figures]) -> Result:
    floors = {benchmark.floor_labels[name]: [figures[name] for figures in rounds] for name in row.floors}
    return Result(row, [figures[row.figure] for figures in rounds], floors)


def _lines(result: Result) -> list[tuple[str, ...]]:
    """Return the row with its first floor, and one more line for each further floor."""
    row = result.row
    spread = f"{_number(min(result.samples))} – {_number(max(result.samples))}"
    own = (row.label, f"{_number(result.value)} {row.unit}", spread if len(result.samples) > 1 else "")
    verdict = {None: "", True: "ok", False: "MISSED"}[result.holds]
    floors = [_floor(result, name) for name in result.floors] or [("", "", "")]
    first = (*own, *floors[0], _target(row), verdict)
    return [first, *(("", "", "", *floor, "", "") for floor in floors[1:])]


def _floor(result: Result, name: str) -> tuple[str, str, str]:
    ratio = result.ratio(name)
    shown = f"{ratio:.1f} x" if result.row.lower else f"{ratio:.1%}"
    return name, f"{_number(statistics.median(result.floors[name]))} {result.row.unit}", shown


def _target(row: Row) -> str:
    sign = "<=" if row.lower else ">="
    own = f"{sign} {_number(row.target)}" if row.target is not None else ""
    return own or (f">= {row.target_ratio:.0%} of it" if row.target_ratio is not None else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (
        cell.rjust(width) if column in _RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join(padded) + " |"
