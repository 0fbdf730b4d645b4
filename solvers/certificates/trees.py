"""Trees of boxes: a claim's map space cut until the checker excludes every part.

A box that the checker's own bounds do not exclude is cut at the geometric mean of its longest dimension.
Where there are multipliers, they are tried on the largest boxes first: those in which every tensor moves
by one formula, as trips are one in none or in all of its mappings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from heapq import heappop, heappush
from itertools import product
from math import inf, isqrt, prod
from typing import Any

from solvers.check import ORDERS, Claim, Model
from solvers.result import Bound

Box = list[tuple[int, int]]
"""Ranges of tile sizes, dimension by dimension."""

Way = tuple[str, int]
"""An order of loops, and the dimension of a box that slides, less one; 0 if none does."""

Multipliers = Callable[[Claim, Way, Box], str | None]
"""From a claim, a way and a box to a leaf, whose proof is among the claim's ``duals`` then; or to None."""

MOST_LEAVES = 300_000
"""Of one tree; a bound that needs more is left out."""

_AGAIN = 1024  # multipliers are asked for again in a box of this part of the tile sizes
_DEAREST = 8  # boxes of one tree that they are asked for


class NoProof(Exception):
    """A bound cannot be proven here, and why."""


class BelowBound(Exception):
    """A mapping, or the bound on one, is below the bound that is to be proven."""


def tree(claim: Claim, way: Way, multipliers: Multipliers | None = None) -> str:
    """The tree of a claim for one order of loops, as the checker reads it.

    Raises:
        BelowBound: if the checker bounds a mapping below the claim.
        NoProof: if it would be too large.
    """
    tokens, boxes, leaves, asked = [], [(claim.model.whole, inf)], 0, 0
    while boxes:
        box, tried = boxes.pop()
        leaf: str | None = next(iter(claim.look(way, box)[0]), None)
        cut = None
        if not leaf and multipliers is not None and asked < _DEAREST:
            cut, size = _parted(claim.model, way[0], box), prod(hi - lo + 1 for lo, hi in box)
            if cut is None and size * _AGAIN <= tried:
                leaf, tried, asked = multipliers(claim, way, box), size, asked + 1
        if leaf:
            tokens.append(leaf)
            leaves += 1
            if leaves > MOST_LEAVES:
                raise NoProof(f"a proof would take more than {MOST_LEAVES:,} leaves")
            continue
        cut = cut or middle(box)
        if cut is None:
            raise BelowBound
        tokens.append("{}:{}".format(*cut))
        left, right = halves(box, *cut)
        boxes += [(right, tried), (left, tried)]
    return " ".join(tokens)


def middle(box: Box) -> tuple[int, int] | None:
    """The longest dimension of a box, and its geometric mean; None if it is one tile."""
    d = max(range(len(box)), key=lambda i: (box[i][1] / box[i][0], i))
    lo, hi = box[d]
    return None if lo == hi else (d, isqrt(lo * hi))  # below hi


def halves(box: Box, d: int, at: int) -> tuple[Box, Box]:
    """A box cut along a dimension: tiles of at most a size, and of more."""
    left, right = list(box), list(box)
    left[d], right[d] = (box[d][0], at), (at + 1, box[d][1])
    return left, right


def _parted(model: Model, order: str, box: Box) -> tuple[int, int] | None:
    """Where to cut a box so that its tensors move by one formula; None if they do.

    Whether input channels are cut decides on partial sums, and whether the loops inside are cut, on what
    moves again: those of the pixels in WEIGHT and, without partial sums, in OUTPUT; of the output channels
    in INPUT.
    """

    def straddles(d: int) -> bool:
        return box[d][0] < box[d][1] == model.whole[d][1]

    inner = [0] if order == "input" else list(range(2, len(box)))
    if straddles(1):
        return 1, box[1][1] - 1
    if order == "output" and box[1][1] < model.whole[1][1]:
        return None
    if any(box[d][1] < model.whole[d][1] for d in inner):
        return None
    return next(((d, box[d][1] - 1) for d in reversed(inner) if straddles(d)), None)


def _ways(model: Model) -> Iterable[Way]:
    return product(ORDERS, model.sliding)


def provable(claim: Claim) -> Fraction:
    """The least value that the checker's bounds leave to a mapping: best first, over all orders of loops.

    Raises:
        NoProof: if no mapping is within the cap.
    """
    whole = claim.model.whole
    heap: list[tuple[Fraction | int, int, Way, Box]] = [
        (-1, i, way, whole) for i, way in enumerate(_ways(claim.model))
    ]
    number = len(heap)
    while heap:
        value, _, way, box = heappop(heap)
        cut = middle(box)
        if value >= 0 and cut is None:
            return Fraction(value + claim.fixed)
        for half in [box] if value < 0 or cut is None else halves(box, *cut):
            excluded, value = claim.look(way, half)
            if not excluded:
                heappush(heap, (value, number, way, half))
                number += 1
    raise NoProof("no mapping is within the cap")


def proof(
    model: Model,
    told: Bound | None,
    multipliers: Multipliers | None = None,
    *,
    cap: int | None = None,
    latency: bool = False,
) -> dict[str, Any]:
    """A claim with its trees; its bound is the one told, or what can be proven here where that is less.

    Args:
        model: of the checker.
        told: what a run has proven; None for nothing.
        multipliers: where they come from; None for none.
        cap: on the latency [ticks].
        latency: whether it is the latency that is bounded, not the objective.

    Raises:
        NoProof: if there is none of a size to be handed out.
    """
    bound = Fraction(told or 0)
    while True:
        claim = Claim(model, bound, cap, latency, {})
        try:
            trees = {" ".join(map(str, way)): tree(claim, way, multipliers) for way in _ways(model)}
            return {"bound": str(bound), "duals": claim.duals, "trees": trees}
        except BelowBound:
            bound = provable(claim)
