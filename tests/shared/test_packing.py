"""Bounds on packings, and the best packing, against all packings there are."""

from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from formulation.hardware import Energy, Fill, Hardware
from formulation.mapping import Stationary
from formulation.pricing.objective import Kind, Objective
from formulation.shared.packing.rounds import packing_of
from formulation.shared.packing.search import best_packing
from formulation.shared.packing_bounds import packed_bounds
from formulation.shared.problem import SharedProblem
from formulation.shared.space import SharedSpace
from formulation.space.space import CLASSES
from solvers.goals import Goal
from solvers.shared.candidates import Batch, packed_price, posed_packing
from solvers.shared.search import SharedSearch


@cache
def packings(filters, kernels, count):
    """All matrices without an empty round, sub-kernels by rounds, up to the order of the rounds."""

    def rows(total, parts):
        if parts == 1:
            yield (total,)
            return
        for first in range(total + 1):
            yield from ((first, *rest) for rest in rows(total - first, parts - 1))

    found = set()
    for matrix in product(tuple(rows(filters, count)), repeat=kernels):
        columns = sorted(zip(*matrix, strict=True))
        if all(any(column) for column in columns):
            found.add(tuple(columns))
    return [np.array(columns).T for columns in sorted(found)]


KERNELS = [(1, 3, 2), (4, 3, 2), (5, 3, 2), (5, 5, 2), (4, 6, 2), (3, 4, 3), (2, 5, 4)]
# filters, kernel, stride, columns of the array, size of the input, bytes
CASES = [
    (filters, kernel, stride, cols, size, room)
    for filters, kernel, stride in [
        (1, 3, 2),
        (4, 3, 2),
        (5, 3, 2),
        (5, 5, 2),
        (4, 6, 2),
        (3, 4, 3),
        (2, 5, 4),
    ]
    for cols in (1, 2, 3, 16)
    for size, room in ((2, 90), (3, 400))
]


def choice(case, objective=None, **machine):
    """A problem's space, and its largest and its smallest tile."""
    filters, kernel, stride, cols, size, room = case
    deconv = Deconvolution("d", filters, 2, (TransposedAxis(size, kernel, stride),))
    hardware = Hardware(3, cols, room, fill=Fill.EXPOSED, **machine)
    space = SharedSpace(SharedProblem(deconv, hardware, objective or Objective()))
    shape = space.grid.shape
    ends = [np.array(shape) - 1, np.zeros(len(shape), dtype=np.int64)]
    return space, [space.tiles(space.grid.table([end[[d]] for d in range(len(shape))])) for end in ends]


def weighed(space, tile, ci, count):
    """The packing problem, and every packing that fits with its price, fixed part included."""
    problem = space.packing(tile, ci)
    items = problem.items
    every = [packing_of(items, x) for x in packings(items.filters, len(items.taps), count)]
    fitting = [p for p in every if problem.fits(p.weights, p.ofmap)]
    return problem, [(problem.price(p) + problem.fixed, p) for p in fitting]


def rounds_of(space):
    most = space.filters * len(space.kernels.layers)
    return sorted({*range(1, min(most, 4) + 1), *([most] if most <= 6 else [])})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bounds_hold_for_all_packings(case):
    space, tiles = choice(case)
    for tile, ci in product(tiles, range(len(space.ci))):
        for count in rounds_of(space):
            bounds = packed_bounds(space, tile, np.array([ci]), np.array([count]))
            problem, fitting = weighed(space, tile, ci, count)
            least = problem.items.least_passes
            for price, packing in fitting:
                p, q = packing.weights, packing.ofmap * problem.unit
                assert bounds.fits[0]
                assert p <= bounds.most[0][0]
                assert q <= bounds.most[1][0]
                if max(packing.passes) == least:
                    assert bounds.whole[0] <= price
                    assert bounds.target[0][0] <= p
                    assert bounds.target[1][0] <= q
                else:
                    assert bounds.split[0] <= price


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_best_packing_is_that_of_plain_enumeration(case):
    space, tiles = choice(case)
    for tile, ci in product(tiles, range(len(space.ci))):
        for count in rounds_of(space):
            bounds = packed_bounds(space, tile, np.array([ci]), np.array([count]))
            problem, fitting = weighed(space, tile, ci, count)
            most = int(bounds.most[0][0]), int(bounds.most[1][0])
            target = int(bounds.target[0][0]), int(bounds.target[1][0])
            for low, split in ((int(bounds.least[0]), int(bounds.split[0])), (0, 0)):
                best = best_packing(problem, count, most, target, low - problem.fixed, split - problem.fixed)
                assert best.proven
                if not fitting:
                    assert best.packing is None
                    continue
                assert best.price + problem.fixed == min(price for price, _ in fitting)
                assert len(best.packing.rounds[0]) == count
                assert problem.price(best.packing) == best.price


def test_most_bounds_are_met():
    """They decide how many packings need a branch and bound: three quarters meet the least price there is."""
    met = []
    for case in CASES:
        space, tiles = choice(case)
        for count in rounds_of(space):
            bounds = packed_bounds(space, tiles[0], np.array([0]), np.array([count]))
            _, fitting = weighed(space, tiles[0], 0, count)
            if fitting:
                met.append(bounds.least[0] == min(price for price, _ in fitting))
    assert np.mean(met) >= 0.75


@pytest.mark.parametrize("case", CASES[::3], ids=str)
def test_what_many_rounds_cost_at_least_is_below_the_bounds_on_their_packings(case):
    space, (largest, _) = choice(case)
    search, cis = SharedSearch(space), np.arange(len(space.ci))
    tiles, rounds = largest.take(np.zeros(len(cis), dtype=int)), np.array([*rounds_of(space)])
    for which in range(len(CLASSES)):
        floor = search._floor(which, tiles, cis, np.add.outer(np.zeros_like(cis), rounds))
        for ci in cis:
            each = np.full(len(rounds), ci)
            part = largest.take(np.zeros_like(each))
            prices = search._prices(which, part, each, rounds, packed_bounds(space, part, each, rounds))
            assert (floor.latency[ci] <= prices.latency).all()
            assert (floor.traffic[ci] == prices.traffic).all()


#: Static power that makes waiting cost as much as moving, and none; a slow DRAM, and a fast one.
POWERS = [(0, Fraction(1, 2)), (2000, Fraction(1, 2)), (40, Fraction(64))]
GOALS = [
    Objective(Kind.ENERGY),
    Objective(Kind.WEIGHTED, Fraction(0), Fraction(1, 3), Fraction(2), Fraction(1, 2)),
]


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind.value)
@pytest.mark.parametrize(("static", "bandwidth"), POWERS)
@pytest.mark.parametrize("case", CASES[1::7], ids=str)
def test_the_packing_that_spends_least_is_that_of_plain_enumeration(case, static, bandwidth, goal):
    energy = Energy(static=Fraction(static))
    space, tiles = choice(case, goal, energy=energy, bandwidth=bandwidth)
    order = Goal(space.problem.steps[-1].measures)
    for tile, ci, count in product(tiles, range(len(space.ci)), rounds_of(space)):
        bounds = packed_bounds(space, tile, np.array([ci]), np.array([count]))
        bits = space.moved_bits(Stationary.INPUT, np.array([count]), space.trips_ci[[ci]], tile.table)
        packing, fitting = weighed(space, tile, ci, count)
        rank = int(tile.table.rank[0])
        keys = order.keys(bounds.price(space, bits))
        batch = Batch(1, tile, np.array([ci]), np.array([count]), keys, bounds, bits)
        candidate = batch.candidate(0)
        posed, low, split = posed_packing(space, order, candidate, packing)
        best = best_packing(posed, count, candidate.most, candidate.target, low, split)
        assert best.proven
        assert (best.packing is None) == (not fitting)
        if not fitting:
            continue
        every = {}
        for _, one in fitting:
            mapping = space.mapping(Stationary.INPUT, ci, rank, one.rounds, tile)
            price = space.problem.price(space.problem.evaluate(mapping))
            assert packed_price(space, candidate, packing, one) == price
            assert all(
                low <= value for low, value in zip(bounds.price(space, bits).one(0), price, strict=True)
            )
            every[one] = order.values(price)
            assert posed.price(one) >= (low if max(one.passes) == packing.items.least_passes else split)
        assert every[best.packing] == min(every.values())
