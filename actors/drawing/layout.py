"""Place boxes in layers, with arrows mostly downwards and few crossings: Sugiyama's method in its simplest form."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_GAP_X, _GAP_Y = 24.0, 26.0
_SWEEPS = 8
_MOST_PLACES = 8_000
"""The most places for arrows that cross layers; more take too many seconds."""


@dataclass(frozen=True, slots=True)
class Size:
    """The room for something. Arrows end at its `core`, which lies on the left; without a core, at all of it."""

    width: float
    height: float
    core: tuple[float, float] | None = None

    @property
    def rim(self) -> tuple[float, float]:
        """The width and height of the part at which arrows end."""
        return self.core or (self.width, self.height)


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow between the boxes with these numbers; `label` is the room for its text."""

    source: int
    target: int
    label: Size


@dataclass(frozen=True, slots=True)
class Layout:
    """The centres of boxes and labels, and each arrow's points from its source to its target."""

    size: Size
    boxes: list[Point]
    labels: list[Point]
    routes: list[list[Point]]


def layered(boxes: Sequence[Size], arrows: Sequence[Arrow]) -> Layout:
    """Return a layout that is the same each time. No arrow may lead to its own source; each pair may have one."""
    turned = _against_the_flow(len(boxes), arrows)
    downward = [(a.target, a.source) if i in turned else (a.source, a.target) for i, a in enumerate(arrows)]
    ranks = _ranks(len(boxes), downward)
    sizes, labels = list(boxes), dict[int, int]()
    chains = [[top, bottom] for top, bottom in downward]
    for number in _woven(ranks, downward):
        top, bottom = downward[number]
        between = range(ranks[top] + 1, ranks[bottom])
        first = len(sizes)
        label = labels[number] = first + len(between) // 2
        sizes += [arrows[number].label if first + i == label else Size(0, 0) for i in range(len(between))]
        ranks += between
        chains[number] = [top, *range(first, len(sizes)), bottom]
    woven = [chains[number] for number in labels]
    layers = _ordered(ranks, woven)
    xs, ys = _across(layers, sizes, woven), _down(layers, sizes)
    places = list(zip(xs, ys, strict=True))
    routes = _routes(chains, places, sizes)
    return Layout(
        Size(max((x + s.width / 2 for x, s in zip(xs, sizes, strict=True)), default=0.0), _bottom(places, sizes)),
        places[: len(boxes)],
        [places[labels[i]] if i in labels else _middle(route) for i, route in enumerate(routes)],
        [route[::-1] if i in turned else route for i, route in enumerate(routes)],
    )


# Helpers


def _against_the_flow(count: int, arrows: Sequence[Arrow]) -> set[int]:
    """Return the arrows that close a cycle, searching from the first box on."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    for number, arrow in enumerate(arrows):
        outgoing[arrow.source].append(number)
    turned: set[int] = set()
    seen: set[int] = set()
    for root in range(count):
        if root not in seen:
            _follow(root, outgoing, arrows, seen, turned)
    return turned


def _follow(
    root: int, outgoing: Sequence[Sequence[int]], arrows: Sequence[Arrow], seen: set[int], turned: set[int]
) -> None:
    """Search depth first. There is no recursion, because a chain may be longer than Python's stack."""
    path = {root: iter(outgoing[root])}
    seen.add(root)
    while path:
        box = next(reversed(path))
        number = next(path[box], None)
        if number is None:
            del path[box]
        elif (target := arrows[number].target) in path:
            turned.add(number)
        elif target not in seen:
            seen.add(target)
            path[target] = iter(outgoing[target])


def _ranks(count: int, downward: Sequence[tuple[int, int]]) -> list[int]:
    """Return a layer for each box, below all boxes that lead to it. Every second layer is left for labels."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for top, bottom in downward:
        outgoing[top].append(bottom)
        waiting[bottom] += 1
    ranks = [0] * count
    ready = [box for box in range(count) if not waiting[box]]
    for box in ready:  # the list grows during the loop
        for below in outgoing[box]:
            ranks[below] = max(ranks[below], ranks[box] + 2)
            waiting[below] -= 1
            if not waiting[below]:
                ready.append(below)
    return ranks


def _woven(ranks: Sequence[int], downward: Sequence[tuple[int, int]]) -> list[int]:
    """Return the arrows that get a place in each layer they cross: the shortest ones, up to a limit."""
    spans = [ranks[bottom] - ranks[top] - 1 for top, bottom in downward]
    places, woven = 0, []
    for number in sorted(range(len(spans)), key=spans.__getitem__):
        places += spans[number]
        if places > _MOST_PLACES:
            break
        woven.append(number)
    return sorted(woven)


def _ordered(ranks: Sequence[int], chains: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return the layers, each sorted by its neighbours' places, in the order with the fewest crossings."""
    layers: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for place, rank in enumerate(ranks):
        layers[rank].append(place)
    above, below = _neighbours(len(ranks), chains)
    best, fewest = layers, _crossings(layers, below)
    for sweep in range(_SWEEPS):
        layers = _sorted_down(layers, above) if sweep % 2 == 0 else _sorted_down(layers[::-1], below)[::-1]
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _sorted_down(layers: Sequence[list[int]], beside: Sequence[Sequence[int]]) -> list[list[int]]:
    """Sort each layer after the first by the places of its neighbours in the layer before."""
    done = [list(layers[0])] if layers else []
    for layer in layers[1:]:
        spots = {place: float(spot) for spot, place in enumerate(done[-1])}
        own = {place: float(spot) for spot, place in enumerate(layer)}
        means = {place: _mean([spots[n] for n in beside[place]], own[place]) for place in layer}
        done.append(sorted(layer, key=means.__getitem__))
    return done


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
    """Return the x of every place, as near to its neighbours as the order and the widths allow."""
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
    """Place a layer by least squares from the wishes, with the gaps kept: a run that would overlap shares its mean."""
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
    """Return each arrow's points, from the lower rim of a box to the upper rim of another, spread along the rims."""
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
    """Return the x of each arrow's end on its box, given the box and the x of the arrow's next point."""
    by_box: dict[int, list[int]] = {}
    for i in sorted(range(len(ends)), key=lambda i: ends[i][1]):
        by_box.setdefault(ends[i][0], []).append(i)
    spots = [0.0] * len(ends)
    for box, here in by_box.items():
        left, width = places[box][0] - sizes[box].width / 2, sizes[box].rim[0]
        for number, i in enumerate(here, 1):
            spots[i] = left + width * number / (len(here) + 1)
    return spots


def _middle(route: Sequence[Point]) -> Point:
    (x, y), (to_x, to_y) = route[0], route[-1]
    return (x + to_x) / 2, (y + to_y) / 2


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
