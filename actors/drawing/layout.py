"""Places boxes in layers, arrows mostly downwards, with few crossings: Sugiyama's way, in its simplest form."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_GAP_X, _GAP_Y = 24.0, 26.0
_SWEEPS = 8
_MOST_SORTED = 20_000
"""Of more places than this the order is left as it comes: sorting them would take minutes."""


@dataclass(frozen=True, slots=True)
class Size:
    """The room for something; arrows meet its `core`, which lies on the left, or all of it."""

    width: float
    height: float
    core: tuple[float, float] | None = None

    @property
    def rim(self) -> tuple[float, float]:
        """Width and height of what arrows meet."""
        return self.core or (self.width, self.height)


@dataclass(frozen=True, slots=True)
class Arrow:
    """Between the boxes of these numbers; `label` is the room for its text."""

    source: int
    target: int
    label: Size


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies: centres of boxes and labels, and each arrow's points from its source to its target."""

    size: Size
    boxes: list[Point]
    labels: list[Point]
    routes: list[list[Point]]


def layered(boxes: Sequence[Size], arrows: Sequence[Arrow]) -> Layout:
    """A layout that is the same each time; no arrow may lead to its own source, nor two along the same way."""
    turned = _against_the_flow(len(boxes), arrows)
    downward = [(a.target, a.source) if i in turned else (a.source, a.target) for i, a in enumerate(arrows)]
    ranks = _ranks(len(boxes), downward)
    sizes, chains, labels = list(boxes), [], []
    for (top, bottom), arrow in zip(downward, arrows, strict=True):
        middle = (ranks[top] + ranks[bottom]) // 2
        chain = [top]
        for rank in range(ranks[top] + 1, ranks[bottom]):
            chain.append(len(sizes))
            sizes.append(arrow.label if rank == middle else Size(0, 0))
            ranks.append(rank)
            if rank == middle:
                labels.append(chain[-1])
        chains.append([*chain, bottom])
    layers = _ordered(ranks, chains)
    xs, ys = _across(layers, sizes, chains), _down(layers, sizes)
    places = list(zip(xs, ys, strict=True))
    routes = _routes(chains, places, sizes)
    return Layout(
        Size(max((x + s.width / 2 for x, s in zip(xs, sizes, strict=True)), default=0.0), _bottom(places, sizes)),
        places[: len(boxes)],
        [places[label] for label in labels],
        [route[::-1] if i in turned else route for i, route in enumerate(routes)],
    )


# Helpers


def _against_the_flow(count: int, arrows: Sequence[Arrow]) -> set[int]:
    """The arrows that close a circle, seen from the first box on."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    for index, arrow in enumerate(arrows):
        outgoing[arrow.source].append(index)
    turned: set[int] = set()
    seen, open_ = [False] * count, [False] * count
    for root in range(count):
        if seen[root]:
            continue
        seen[root] = open_[root] = True
        path = [(root, iter(outgoing[root]))]
        while path:
            box, rest = path[-1]
            index = next(rest, None)
            if index is None:
                open_[box] = False
                path.pop()
                continue
            target = arrows[index].target
            if open_[target]:
                turned.add(index)
            elif not seen[target]:
                seen[target] = open_[target] = True
                path.append((target, iter(outgoing[target])))
    return turned


def _ranks(count: int, downward: Sequence[tuple[int, int]]) -> list[int]:
    """Each box below all that lead to it; every second layer is left for labels."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for top, bottom in downward:
        outgoing[top].append(bottom)
        waiting[bottom] += 1
    ranks = [0] * count
    ready = [box for box in range(count) if not waiting[box]]
    for box in ready:  # grows on the way
        for below in outgoing[box]:
            ranks[below] = max(ranks[below], ranks[box] + 2)
            waiting[below] -= 1
            if not waiting[below]:
                ready.append(below)
    return ranks


def _ordered(ranks: Sequence[int], chains: Iterable[Sequence[int]]) -> list[list[int]]:
    """The layers, each sorted by the neighbours' places; the order with the fewest crossings of all tried."""
    layers: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for place, rank in enumerate(ranks):
        layers[rank].append(place)
    if len(ranks) > _MOST_SORTED:
        return layers
    above, below = _neighbours(len(ranks), chains)
    best, fewest = layers, _crossings(layers, below)
    for sweep in range(_SWEEPS):
        layers = [list(layer) for layer in layers]
        beside, order = (above, range(1, len(layers))) if sweep % 2 == 0 else (below, range(len(layers) - 2, -1, -1))
        for rank in order:
            neighbour = layers[rank - 1 if sweep % 2 == 0 else rank + 1]
            index = {place: i for i, place in enumerate(neighbour)}
            own = {place: i for i, place in enumerate(layers[rank])}
            layers[rank].sort(key=lambda p, b=beside, i=index, o=own: _mean([i[n] for n in b[p]], o[p]))  # type: ignore[misc]
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _neighbours(count: int, chains: Iterable[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for chain in chains:
        for top, bottom in zip(chain, chain[1:], strict=False):
            below[top].append(bottom)
            above[bottom].append(top)
    return above, below


def _crossings(layers: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    total = 0
    for layer, under in zip(layers, layers[1:], strict=False):
        index = {place: i for i, place in enumerate(under)}
        passed: list[int] = []
        for place in layer:
            ends = sorted(index[b] for b in below[place])
            total += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return total


def _across(layers: Sequence[Sequence[int]], sizes: Sequence[Size], chains: Iterable[Sequence[int]]) -> list[float]:
    """Every place as near to its neighbours as the order and the widths allow."""
    above, below = _neighbours(len(sizes), chains)
    xs = [0.0] * len(sizes)
    for layer in layers:
        _settle(layer, [0.0] * len(layer), sizes, xs)
    for sweep in range(_SWEEPS):
        beside, order = (above, layers) if sweep % 2 == 0 else (below, layers[::-1])
        for layer in order:
            _settle(layer, [_mean([xs[n] for n in beside[p]], xs[p]) for p in layer], sizes, xs)
    left = min((x - s.width / 2 for x, s in zip(xs, sizes, strict=True)), default=0.0)
    return [x - left for x in xs]


def _settle(layer: Sequence[int], wishes: Sequence[float], sizes: Sequence[Size], xs: list[float]) -> None:
    """The least squares from the wishes with the gaps kept: a run that would overlap shares its mean."""
    offsets, offset = [], 0.0
    for i, place in enumerate(layer):
        offset += (sizes[layer[i - 1]].width + sizes[place].width) / 2 + _GAP_X if i else 0.0
        offsets.append(offset)
    runs: list[tuple[float, int]] = []  # sum and length
    for wish, offset in zip(wishes, offsets, strict=True):
        total, length = wish - offset, 1
        while runs and runs[-1][0] / runs[-1][1] > total / length:
            before, many = runs.pop()
            total, length = total + before, length + many
        runs.append((total, length))
    shares = [total / length for total, length in runs for _ in range(length)]
    for place, share, offset in zip(layer, shares, offsets, strict=True):
        xs[place] = share + offset


def _down(layers: Sequence[Sequence[int]], sizes: Sequence[Size]) -> list[float]:
    ys, y = [0.0] * len(sizes), 0.0
    for layer in layers:
        height = max((sizes[place].height for place in layer), default=0.0)
        for place in layer:
            ys[place] = y + height / 2
        y += height + _GAP_Y
    return ys


def _bottom(places: Sequence[Point], sizes: Sequence[Size]) -> float:
    return max((y + s.height / 2 for (_, y), s in zip(places, sizes, strict=True)), default=0.0)


def _routes(chains: Sequence[Sequence[int]], places: Sequence[Point], sizes: Sequence[Size]) -> list[list[Point]]:
    """From the lower rim of one box to the upper rim of the other; the ends of several are spread along a rim."""
    leaving = _spread([(chain[0], places[chain[1]][0]) for chain in chains], places, sizes)
    coming = _spread([(chain[-1], places[chain[-2]][0]) for chain in chains], places, sizes)
    return [
        [
            (leaving[i], places[chain[0]][1] + sizes[chain[0]].rim[1] / 2),
            *(places[place] for place in chain[1:-1]),
            (coming[i], places[chain[-1]][1] - sizes[chain[-1]].rim[1] / 2),
        ]
        for i, chain in enumerate(chains)
    ]


def _spread(ends: Sequence[tuple[int, float]], places: Sequence[Point], sizes: Sequence[Size]) -> list[float]:
    """Where on its box's rim each end lies, given the box and whereto it goes on."""
    by_box: dict[int, list[int]] = {}
    for i in sorted(range(len(ends)), key=lambda i: ends[i][1]):
        by_box.setdefault(ends[i][0], []).append(i)
    spots = [0.0] * len(ends)
    for box, here in by_box.items():
        left, width = places[box][0] - sizes[box].width / 2, sizes[box].rim[0]
        for number, i in enumerate(here, 1):
            spots[i] = left + width * number / (len(here) + 1)
    return spots


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
