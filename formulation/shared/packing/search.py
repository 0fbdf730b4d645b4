"""Branch and bound over the rounds of a packing, and the best packing there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import mul

import numpy as np

from formulation.cost import TensorBits
from formulation.shared.packing.repair import repaired
from formulation.shared.packing.rounds import Fits, Items, Packing, balanced_packings, fill_rounds, packing_of

_REPAIRED = 32  # rounds up to which packings are repaired
#: Nodes of one branch and bound; beyond them the packing is not proven.
NODES = 80_000


@dataclass(frozen=True, slots=True)
class PackingProblem:
    """What is minimised: ``pass_cost_j`` per pass, ``alpha`` per word of P, ``beta`` per unit of Q.

    If there is a second price, ``idle_cost_j`` per pass and ``idle``, it is the greater of the two.

    Attributes:
        items: what is packed.
        pass_cost: per sub-kernel.
        alpha: per word of P.
        beta: per unit of Q.
        unit: words of Q's unit.
        fits: whether (P, Q in its unit) fits the buffer; monotone.
        fixed: what is paid whatever the packing.
        held: bits of the ifmap tile, of Q's unit and of a word of P.
        idle_cost: per sub-kernel, of the second price; None if there is none.
        idle: of the second price, whatever the packing.
    """

    items: Items
    pass_cost: tuple[int, ...]
    alpha: int
    beta: int
    unit: int
    fits: Fits
    fixed: int
    held: TensorBits
    idle_cost: tuple[int, ...] | None = None
    idle: int = 0

    def price(self, packing: Packing) -> int:
        """The price of a packing, without what is fixed."""
        passes = sum(n * c for n, c in zip(packing.passes, self.pass_cost, strict=True))
        price = passes + self.alpha * packing.weights + self.beta * packing.ofmap
        if self.idle_cost is None:
            return price
        return max(price, self.idle + sum(n * c for n, c in zip(packing.passes, self.idle_cost, strict=True)))


@dataclass(frozen=True, slots=True)
class Best:
    """The best packing known.

    Attributes:
        packing: the packing, None if none is known.
        price: its price, without what is fixed.
        proven: whether no packing into as many rounds is better, or none exists.
        nodes: of the branch and bound.
    """

    packing: Packing | None
    price: int
    proven: bool
    nodes: int = 0


def best_packing(
    problem: PackingProblem,
    count: int,
    most: tuple[int, int],
    target: tuple[int, int],
    bound: int,
    split_bound: int,
    *,
    rooms: Sequence[tuple[int, int]] = (),
    nodes: int = NODES,
    late: Callable[[], bool] = bool,
) -> Best:
    """The cheapest packing into exactly ``count`` rounds that fits.

    Args:
        problem: what is packed at what price.
        count: rounds.
        most: the largest P and the largest Q (words) that might fit.
        target: the least P and Q (words) that packings without a split pass might have.
        bound: prices at or below this one are as good as each other, or proven to be the least.
        split_bound: a bound on the price of packings that split a pass.
        rooms: P and Q (words) of the fullest round that are tried besides.
        nodes: of the branch and bound that settles what the bound does not; 0 for none.
        late: asked between pieces of work; once it is true, the best packing so far is returned.
    """
    best: Packing | None = None
    room = most[0], most[1] // problem.unit
    aim = target[0], -(-target[1] // problem.unit)
    narrow = [(p, q // problem.unit) for p, q in rooms]
    for packing in _built(problem.items, count, room, aim, narrow):
        if len(packing.rounds[0]) == count and problem.fits(packing.weights, packing.ofmap):
            if best is None or problem.price(packing) < problem.price(best):
                best = packing
            if problem.price(best) <= bound:
                return Best(best, problem.price(best), True)
        if late():
            break
    if nodes > 0:
        return _settle(problem, count, room, bound, split_bound, best, nodes, late)
    return Best(best, -1 if best is None else problem.price(best), False)


def _built(
    items: Items, count: int, room: tuple[int, int], aim: tuple[int, int], narrow: Sequence[tuple[int, int]]
) -> Iterator[Packing]:
    """Packings in the order of the effort to build them."""
    yield from fill_rounds(items, count, aim)
    balanced = balanced_packings(items, count)
    yield from balanced
    yield from fill_rounds(items, count, room)
    if 1 < count <= _REPAIRED:
        yield from (repaired(items, packing, aim) for packing in balanced[:2])
        if aim != room:
            yield from (repaired(items, packing, room) for packing in balanced[-1:])
    for most in narrow:
        yield from fill_rounds(items, count, most)


def _settle(
    problem: PackingProblem,
    count: int,
    room: tuple[int, int],
    bound: int,
    split_bound: int,
    best: Packing | None,
    nodes: int,
    late: Callable[[], bool],
) -> Best:
    """Branch and bound: over whole passes if these are alike and splitting one does not pay, else filters."""
    items = problem.items
    limit = None if best is None else problem.price(best)
    whole = items.filters % items.limit == 0 and limit is not None and limit <= split_bound
    unit = items.limit if whole else 1
    coarse = replace(
        items,
        filters=items.filters // unit,
        limit=1 if whole else items.limit,
        taps=tuple(unit * t for t in items.taps),
        pixels=tuple(unit * p for p in items.pixels),
    )
    search = _Rounds(replace(problem, items=coarse), bound, limit, room, nodes, late)
    found, proven = search.run(count)
    if found is not None:
        best = packing_of(items, unit * found)
    return Best(best, -1 if best is None else problem.price(best), proven, search.nodes)


class _Rounds:
    """Depth-first search: one round after another, in descending lexicographic order of their contents."""

    def __init__(
        self,
        problem: PackingProblem,
        bound: int,
        limit: int | None,
        most: tuple[int, int],
        most_nodes: int,
        late: Callable[[], bool],
    ) -> None:
        self.most_nodes, self.late = most_nodes, late
        self.items, self.price, self.fits = problem.items, problem, problem.fits
        self.bound, self.limit, self.most = bound, limit, most
        self.best: list[tuple[int, ...]] | None = None
        self.nodes, self.settled = 0, False

    def run(self, count: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]] | None, bool]:
        """The best matrix below the limit, and whether the search was complete."""
        left = (self.items.filters,) * len(self.items.taps)
        self.most = self._tightened(left, count)
        complete = self._visit(left, count, None, [], self._start(left), 0, 0)
        if self.best is None:
            return None, complete
        return np.array(self.best).T, complete

    def _tightened(self, left: tuple[int, ...], count: int) -> tuple[int, int]:
        """P and Q that a packing below the limit may have: the rest of its price is at least the least."""
        if self.limit is None:
            return self.most
        least = [
            -(-sum(left[0] * w for w in words) // count) for words in (self.items.taps, self.items.pixels)
        ]
        rates, most = (self.price.alpha, self.price.beta), list(self.most)
        spare = self.limit - 1 - self._passes(left, self.price.pass_cost)
        for this, other in ((0, 1), (1, 0)):
            if rates[this]:
                most[this] = min(most[this], (spare - rates[other] * least[other]) // rates[this])
        return most[0], most[1]

    def _visit(
        self,
        left: tuple[int, ...],
        count: int,
        last: tuple[int, ...] | None,
        rounds: list[tuple[int, ...]],
        cost: tuple[int, int],
        weights: int,
        ofmap: int,
    ) -> bool:
        """False if the node limit was reached, or it is late."""
        if count == 0:
            total = self._total(cost, weights, ofmap)
            if not any(left) and (self.limit is None or total < self.limit):
                self.limit, self.best = total, list(rounds)
                self.most = self._tightened((self.items.filters,) * len(left), len(rounds))
            return True
        for held in self._contents(left, count, last):
            self.nodes += 1
            if self.nodes > self.most_nodes or self.late():
                return False
            if self.limit is not None and self.limit <= self.bound:
                return True
            p = max(weights, sum(map(mul, held, self.items.taps)))
            q = max(ofmap, sum(map(mul, held, self.items.pixels)))
            rest = tuple(n - h for n, h in zip(left, held, strict=True))
            paid = self._paid(cost, held)
            if self._worse(rest, count - 1, paid, p, q):
                continue
            if not self._visit(rest, count - 1, held, [*rounds, held], paid, p, q):
                return False
        return True

    def _start(self, left: tuple[int, ...]) -> tuple[int, int]:
        """Both prices before the first round; with all passes where none can be split, which sets them."""
        cost = 0, self.price.idle
        if self.items.limit == 1:
            cost, self.settled = self._paid(cost, left), True
        return cost

    def _passes(self, held: Sequence[int], each: Sequence[int]) -> int:
        return sum(-(-h // self.items.limit) * c for h, c in zip(held, each, strict=True))

    def _paid(self, cost: tuple[int, int], held: Sequence[int]) -> tuple[int, int]:
        """Both prices, without P and Q, with the passes of more filters."""
        if self.settled:
            return cost
        price, idle = cost
        if self.price.idle_cost is not None:
            idle += self._passes(held, self.price.idle_cost)
        return price + self._passes(held, self.price.pass_cost), idle

    def _total(self, cost: tuple[int, int], weights: int, ofmap: int) -> int:
        """The price, from both without P and Q."""
        price = cost[0] + self.price.alpha * weights + self.price.beta * ofmap
        return price if self.price.idle_cost is None else max(price, cost[1])

    def _worse(
        self, rest: tuple[int, ...], count: int, paid: tuple[int, int], weights: int, ofmap: int
    ) -> bool:
        """Whether the rest cannot fit into the remaining rounds, or not for less than the limit."""
        need_p = sum(map(mul, rest, self.items.taps))
        need_q = sum(map(mul, rest, self.items.pixels))
        if count == 0 and need_p:
            return True
        p = max(weights, -(-need_p // max(count, 1)))
        q = max(ofmap, -(-need_q // max(count, 1)))
        if sum(rest) < count or p > self.most[0] or q > self.most[1] or not self.fits(p, q):
            return True
        if self.limit is None:
            return False
        return self._total(self._paid(paid, rest), p, q) >= self.limit

    def _contents(
        self, left: tuple[int, ...], count: int, last: tuple[int, ...] | None
    ) -> Iterator[tuple[int, ...]]:
        """What a round may hold: at most the last one's contents lexicographically, all of it at the end."""
        if count == 1:
            return iter([left] if last is None or left <= last else [])
        return self._descending(left, self.most[0], self.most[1], last, ())

    def _descending(
        self, left: tuple[int, ...], p: int, q: int, last: tuple[int, ...] | None, head: tuple[int, ...]
    ) -> Iterator[tuple[int, ...]]:
        """Vectors ``0 < v <= left`` in descending order, from ``last`` on, of at most P and Q."""
        j = len(head)
        if j == len(left):
            if any(head):
                yield head
            return
        taps, pixels = self.items.taps[j], self.items.pixels[j]
        top = min(left[j], p // taps, q // pixels)
        if last is not None:
            top = min(top, last[j])
        for n in range(top, -1, -1):
            tied = last if last is not None and n == last[j] else None
            yield from self._descending(left, p - n * taps, q - n * pixels, tied, (*head, n))
