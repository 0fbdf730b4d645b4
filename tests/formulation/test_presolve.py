"""What is left of the classes holds every mapping that matters, at its exact price."""

from itertools import product
from math import inf, isclose
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.hardware import Halo
from formulation.mapping import Mapping, Stationary, Tile
from formulation.pricing.price import Price
from formulation.relaxed.classes import Aim
from formulation.relaxed.layers import LayerRelaxation
from formulation.relaxed.presolve import Presolve
from formulation.space import blocks
from formulation.space.space import Space
from tests import strategies


def all_prices(problem):
    """Latency [rooflines] and traffic [compulsory traffics] of every mapping that fits."""
    layer, hardware = problem.layer, problem.hardware
    roofline, compulsory = float(roofline_ticks(layer, hardware)), compulsory_bits(layer, hardware)
    slides = [None, *range(len(layer.axes))] if hardware.halo is Halo.REUSE else [None]
    extents = (layer.out_channels, layer.in_channels, layer.batch, *(axis.out for axis in layer.axes))
    for co, ci, batch, *spatial in product(*(range(1, n + 1) for n in extents)):
        for stationary, slide in product(Stationary, slides):
            cost = problem.evaluate(Mapping(Tile(co, ci, batch, tuple(spatial)), stationary, slide))
            if problem.is_feasible(cost):
                yield cost.latency_ticks / roofline, cost.traffic_bits / compulsory


@strategies.examples(60)
@given(strategies.problems(set_up=True, most=4, channels=4, most_axes=2), st.data())
def test_the_least_of_what_is_left_is_the_optimum(problem, data):
    """Any objective, cap and known mapping; a part of a class is cut as if by branching."""
    prices = list(all_prices(problem))
    if not prices:
        return
    weights = data.draw(st.sampled_from(((1.0, 0.0), (0.0, 1.0), (0.3, 0.7))))
    cap, hard = data.draw(st.sampled_from(prices))[0], data.draw(st.booleans())
    aim = Aim(Price.of(*weights), Price.of(cap if hard else inf, inf), hard)
    within = [weights[0] * t + weights[1] * q for t, q in prices if not hard or t <= cap * (1 + 1e-12)]
    known = data.draw(st.sampled_from(within))
    presolve = Presolve(Space(problem), aim)
    variants = list(LayerRelaxation(problem).variants(True))
    with patch.object(blocks, "_MANY", data.draw(st.integers(1, 4))):
        closed = presolve.start(variants, known)
    least = []
    for variant in variants:
        extent = problem.layer.out_channels
        cut = data.draw(st.integers(1, extent))
        parts = [variant.restricted("co", 1, cut), variant.restricted("co", cut + 1, extent)]
        for part in parts[: 1 if cut == extent else 2]:
            presolve.cut(variant, part)
            found, _ = presolve.reduce(part, known)
            least.append(found)
            assert variant not in closed or found == inf
    assert isclose(min(least), min(within), rel_tol=1e-9)


@given(strategies.problems(set_up=True, most=9, channels=12))
def test_a_class_is_cut_down_to_what_its_lists_span(problem):
    relaxation = LayerRelaxation(problem)
    variants = list(relaxation.variants(True)) if problem.fits_at_all else []
    presolve = Presolve(Space(problem), Aim(Price.of(0.0, 1.0), Price.of(inf, inf)))
    closed = presolve.start(variants, 1.5)
    for variant in (v for v in variants if v not in closed):
        cut = presolve._ranges(variant, presolve.lists[variant])
        for (low, high), (least, most) in zip(cut.tiles, variant.tiles, strict=True):
            assert least <= low <= high <= most
        presolve.cut(variant, cut)
        assert len(presolve.lists[cut]) == len(presolve.lists[variant])
