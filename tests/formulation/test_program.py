"""What the mixed-integer program is made of: choices that lose nothing, products that are never too high."""

from functools import partial
from itertools import islice, product
from math import prod

import numpy as np
import pyomo.core as pyo
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.evaluation import work_of
from formulation.hardware import Halo, Hardware
from formulation.mapping import Stationary
from formulation.pricing.price import Price
from formulation.problem import Objective, Problem
from formulation.program.choices import whole_choices
from formulation.program.products import add_products, spans_of, unit_of
from formulation.program.scaling import ProgramAim, scales
from formulation.program.terms import Product
from formulation.program.transfers import variants_of
from formulation.space.space import CLASSES, Space
from solvers.backends.linear import solve_milp
from tests import strategies
from tests.layers.test_exhaustive import every_mapping
from tests.strategies import examples

TURNED = Layer("turned", 4, 4, (Axis(4, kernel=3, in_size=6), Axis(8, kernel=3, in_size=10)))
"""Tiles of 2 x 4 and of 4 x 2 differ in the words that slide, and in nothing else."""


@examples(40)
@given(strategies.problems(most=4, channels=5))
@example(Problem(TURNED, Hardware(4, 4, 600, halo=Halo.REUSE), Objective()))
def test_the_choices_of_the_whole_map_space_lose_nothing(problem):
    """Every mapping's latency and traffic are reached, or beaten in both, by choices that go together.

    Where each group has several trips, by choices of its own loop order.
    """
    if not problem.fits_at_all:
        return
    space = Space(problem)
    found = {}
    for variant in whole_choices(space):
        ok, ik, oi = (
            set(zip(*map(np.ndarray.tolist, p), strict=True)) for p in (variant.ok, variant.ik, variant.oi)
        )
        triples = [
            (a, b, k) for (a, b), k in product(oi, {k for _, k in ok}) if (a, k) in ok and (b, k) in ik
        ]
        if not triples:
            continue
        co, ci, rows = np.array(triples).T
        tiles = variant.tiles.take(rows)
        price = space.price(CLASSES[variant.which], co, ci, tiles, variant.cycles[rows])
        fits = space.feasible(space.tile(co, ci, tiles))
        prices = {(price.one(int(i)).latency, price.one(int(i)).traffic) for i in np.flatnonzero(fits)}
        found[CLASSES[variant.which], variant.whole] = prices
    every, layer = set().union(*found.values()), problem.layer
    for mapping, cost in every_mapping(problem):
        assert any(a <= cost.latency_ticks and b <= cost.traffic_bits for a, b in every)
        tile, whole = mapping.tile, mapping.tile.in_channels == layer.in_channels
        pixels = tile.batch * prod(tile.spatial)
        if tile.out_channels == layer.out_channels or pixels == layer.pixels:
            continue
        if whole and mapping.stationary is Stationary.OUTPUT:
            continue
        own = found[mapping.stationary, whole]
        assert any(a <= cost.latency_ticks and b <= cost.traffic_bits for a, b in own)


@examples(40)
@given(strategies.problems(most=4, channels=4, most_axes=2, set_up=True), st.none() | strategies.bursting())
def test_a_variant_counts_what_its_mappings_take(problem, machine):
    """Where each group has several trips, as the passes of a loop order take for granted; else no less."""
    problem = Problem(problem.layer, machine or problem.hardware, problem.objective)
    if not problem.fits_at_all:
        return
    space, hardware = Space(problem), problem.hardware
    for variant in variants_of(space, whole_choices(space)):
        ok, ik, oi = (
            set(zip(*map(np.ndarray.tolist, p), strict=True)) for p in (variant.ok, variant.ik, variant.oi)
        )
        index, products = variant.index, {one.name: one for one in variant.products}
        shared = [one for one in (variant.compute, *variant.shares) if one.above]
        shares = {one.family: one.above for one in shared}
        places = product(range(len(space.co.tile)), range(len(space.ci.tile)), range(len(variant.tiles)))
        for co, ci, row in islice(places, 200):
            moves = variant.moves(co, ci, row)
            assert (moves is not None) == ((co, row) in ok and (ci, row) in ik and (co, ci) in oi)
            if moves is None:
                continue
            rank, slide = int(variant.tiles.rank[row]), int(variant.tiles.slide[row])
            mapping = space.mapping(variant.stationary, co, ci, rank, slide)
            work, cost = work_of(problem.layer, hardware, mapping), problem.evaluate(mapping)
            labels = {"out": index["out"][co], "inp": index["inp"][ci], "tile": index["tile"][row]}
            told = partial(worth, labels, products, shares)
            energy = hardware.quantum.of(cost.macs, cost.array.bits(hardware), cost.traffic_bits, 0)
            several = min(space.co.trips[co], space.ci.trips[ci], variant.tiles.trips[row]) > 1
            for found, exact in (
                (moves, cost.traffic_bits),
                (told(variant.traffic), cost.traffic_bits),
                (told(variant.set_ups), work.setup),
                (told(variant.spent) if space.summed else energy, energy),
            ):
                assert found == exact if several else found >= exact
            assert moves == told(variant.traffic)
            assert told(variant.compute.terms) == cost.compute_cycles
            held = [told(variant.held(tensor)) for tensor in ("ifmap", "ofmap", "weights")]
            assert held == [work.tile.ifmap, work.tile.ofmap, work.tile.weights]
            for share in shared:
                assert told(share.above) <= share.most


def worth(labels, products, shares, terms):
    """A linear function where choices of these labels are made; other variables are what they stand for."""
    total = 0
    for (family, key), n in terms.items():
        if family == "variant":
            total += n
        elif family in labels:
            total += n * (key == labels[family])
        elif family in shares:
            total += n * worth(labels, products, {}, shares[family]) if key == labels["inp"] else 0
        else:
            one, two = products[family].families
            right, least = products[family].right[labels[two]], products[family].least
            total += n * (right - least[key] if key == labels[one] else 0)
    return total


@pytest.mark.parametrize(
    ("weights", "best", "spent", "floors", "units"),
    [
        # one quantity: its incumbent is at SPAN; one that is but capped has an axis of its own
        ((1, 0, 0), (100, 200, 0), 0, ([10, 40], [150]), (0.06, 0.05)),
        # the axis is coarse enough for the lesser floor to be at -BEYOND * SPAN
        ((1, 0, 0), (41, 200, 0), 0, ([10, 40], [150]), (0.003, 0.05)),
        # a sum: that of the incumbent is at SPAN, and a unit of each adds the same to it
        ((2, 3, 0), (100, 200, 0), 0, ([10, 40], [150]), (0.135, 0.09)),
        ((2, 3, 0), (41, 150, 0), 0, ([10, 40], [150]), (0.003, 0.002)),
        # an incumbent at its floors: a span of FINEST of its sum
        ((2, 3, 0), (10**9, 10**8, 0), 0, ([10**9], [10**8]), (11.5, 11.5 / 1.5)),
        # a latency of no interest reaches as far as energy pays for it
        ((0, 0, 1), (100, 200, 900), 4, ([10, 40], [150], [500]), (0.1, 0.05, 0.4)),
    ],
)
def test_axes_begin_at_their_floors_and_the_incumbent_is_at_span(weights, best, spent, floors, units):
    named = dict(zip(Price._fields, floors, strict=False))
    axes = scales(ProgramAim(Price(*weights), Price(*best)), named, spent)
    assert [axis.floor for axis in axes.values()] == [max(values) for values in floors]
    assert [axis.unit for axis in axes.values()] == pytest.approx(units)


class Variant:
    """A variant that has but one product."""

    def __init__(self, name, *products):
        self.name, self.products = name, products


def made(left, right, allowed):
    """A product of some left and right factors, of which some pairs go together."""
    beside = {("v", f"o{j}"): [right[i] for i in allowed[j]] for j in range(len(left))}
    least = {key: min(values) for key, values in beside.items()}
    spread = {key: max(values) - least[key] for key, values in beside.items()}
    terms = {("out", key): n * least[key] for n, key in zip(left, least, strict=True)}
    terms |= {("words", key): n for n, key in zip(left, least, strict=True) if spread[key]}
    values = {("v", f"t{i}"): value for i, value in enumerate(right)}
    return Product("words", terms, least, spread, values, ("out", "tile"))


def least_of(found, j, i):
    """The least that a product can be with two choices made, and by how much it may be too low."""
    model = pyo.ConcreteModel()
    for family, keys, one in (("out", found.least, j), ("tile", found.right, i)):
        setattr(model, family, pyo.Var(list(keys), domain=pyo.Binary))
        for at, variable in enumerate(getattr(model, family).values()):
            variable.fix(int(at == one))
    spans = spans_of([Variant("v", found)], [])
    slack = add_products(model, [Variant("v", found)], spans)
    terms = [
        value * spans.get((family, key), 1) * getattr(model, family)[key]
        for (family, key), value in found.terms.items()
    ]
    model.total = pyo.Objective(expr=pyo.quicksum(terms))
    key = list(found.least)[j]
    return solve_milp(model).objective, found.terms.get(("words", key), 0) * slack["words", key]


@examples(60)
@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=4, unique=True),
    st.lists(st.integers(0, 10**4), min_size=2, max_size=6),
    st.sampled_from([1, 7, 64 * 10**9]),
    st.data(),
)
def test_a_product_is_what_it_is_wherever_its_choices_go_together(left, right, size, data):
    right = [size * value for value in right]
    places = st.lists(st.integers(0, len(right) - 1), min_size=1, unique=True)
    allowed = [data.draw(places) for _ in left]
    j = data.draw(st.integers(0, len(left) - 1))
    i = data.draw(st.sampled_from(allowed[j]))
    found, slack = least_of(made(left, right, allowed), j, i)
    assert slack == 0
    assert found == pytest.approx(left[j] * right[i], rel=1e-8, abs=1e-6 * size)


def test_factors_that_span_too_much_are_rounded_down_and_by_how_much_is_known():
    right = [1, 3 * 10**8 + 1, 10**9 + 7]
    found = made([3, 50], right, [[0, 1, 2], [0, 1]])
    unit = unit_of(found, spans_of([Variant("v", found)], []))
    assert (unit.exact, unit.size) == (False, 1001)
    for j, i in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        least, slack = least_of(found, j, i)
        exact = (3, 50)[j] * right[i]
        assert 0 < slack == 2 * 1001 * (3, 50)[j]
        assert exact - slack - 1 <= least <= exact + 1


def test_what_does_not_fit_beside_a_choice_is_out_of_reach():
    """A right factor above the greatest that goes with a left one has no solution with it."""
    found = made([2, 5], [10, 20, 40], [[0, 1, 2], [0, 1]])
    assert least_of(found, 0, 2)[0] == pytest.approx(80)
    assert least_of(found, 1, 2)[0] is None
