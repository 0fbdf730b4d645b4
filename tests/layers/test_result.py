"""No answer is made that contradicts itself: each lie is an error that names the layer."""

from dataclasses import replace
from fractions import Fraction

import pytest

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution, Layer
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.mapping import Tile
from formulation.pricing.price import Price
from formulation.problem import Kind, Objective, Problem
from solvers.layers import exhaustive
from solvers.result import LowerBound, ResultError, SolutionStatus
from solvers.shared.deconvolution import combine
from solvers.shared.methods import solve as solve_shared
from tests.strategies import BARE

LAYER = Layer("conv7", 12, 10, (Axis(9, 3, 1, 1, 1, 1, 9),))
SMALL = Hardware(buffer_bytes=600)


def answer(kind=Kind.TRAFFIC):
    return exhaustive.solve(Problem(LAYER, SMALL, Objective(kind)))


def with_bound(result, claim, low):
    return LowerBound({**result.lower_bound.proven, claim: low})


BOUNDS = {Kind.LATENCY: "latency_cycles", Kind.ENERGY: "energy_pj", Kind.WEIGHTED: "score"}


@pytest.mark.parametrize("kind", Kind)
def test_a_bound_above_the_objective(kind):
    result = answer(kind)
    field = BOUNDS.get(kind, "traffic_bytes")
    bound = with_bound(result, field, result.objective_value + Fraction(1, 10**9))
    with pytest.raises(ResultError, match=r"^conv7: exhaustive: the bound on .* is .*, above the mapping's"):
        replace(result, lower_bound=bound)


@pytest.mark.parametrize("kind", Kind)
def test_optimal_but_above_the_bound(kind):
    result = answer(kind)
    field = BOUNDS.get(kind, "traffic_bytes")
    bound = with_bound(result, field, result.objective_value - Fraction(1, 10**9))
    with pytest.raises(ResultError, match=r"^conv7: exhaustive: optimal, but"):
        replace(result, lower_bound=bound)
    assert replace(result, lower_bound=bound, solution_status=SolutionStatus.FEASIBLE).gap > 0


@pytest.mark.parametrize("low", [-1, Fraction(-1, 10), float("nan")])
@pytest.mark.parametrize("field", ["latency_cycles", "traffic_bytes", "score"])
def test_a_bound_below_zero_or_none_at_all(field, low):
    with pytest.raises(ResultError, match=rf"^conv7: exhaustive: the bound on {field} is .*, below 0"):
        replace(answer(), lower_bound=LowerBound({field: low}))


def test_a_latency_bound_above_the_latency_whatever_the_objective():
    result = answer(Kind.BALANCED)
    bound = with_bound(result, "latency_cycles", result.cost.latency_cycles + 1)
    with pytest.raises(ResultError, match=r"^conv7: exhaustive: the bound on latency_cycles"):
        replace(result, lower_bound=bound)


def test_a_cost_that_is_not_the_mappings():
    result = answer()
    fewer = replace(result.cost, traffic_bits=result.cost.traffic_bits - 8)
    with pytest.raises(ResultError, match=r"^conv7: exhaustive: .* does not cost what is said"):
        replace(result, cost=fewer)


def test_a_mapping_that_does_not_fit():
    result = answer()
    whole = replace(result.mapping, tile=Tile(12, 10, 1, (9,)))
    cost = result.problem.evaluate(whole)
    with pytest.raises(ResultError, match=r"^conv7: exhaustive: .* does not fit"):
        replace(result, mapping=whole, cost=cost, lower_bound=LowerBound())


def test_a_status_that_is_not_the_mappings():
    result = answer()
    with pytest.raises(ResultError, match="its status none"):
        replace(result, solution_status=SolutionStatus.NONE)
    with pytest.raises(ResultError, match="the mapping is None, its status optimal"):
        replace(result, mapping=None, cost=None)
    with pytest.raises(ResultError, match="without the other"):
        replace(result, mapping=None, solution_status=SolutionStatus.NONE)


UP = Deconvolution("up3", 8, 6, (TransposedAxis(7, 4, 2, pad_lo=1, pad_hi=1),))


@pytest.mark.parametrize("kind", BARE)
def test_shared_tiles_keep_to_the_same(kind):
    best = combine(UP, Hardware(buffer_bytes=900), Objective(kind), None, method="exhaustive")
    result = solve_shared(best.shared.problem)
    field = BOUNDS.get(kind, "traffic_bytes")
    bound = with_bound(result, field, result.objective_value + 1)
    with pytest.raises(ResultError, match=r"^layer: exhaustive: the bound on"):
        replace(result, lower_bound=bound)
    with pytest.raises(ResultError, match=r"^up3: exhaustive: the bound on"):
        replace(best, lower_bound=LowerBound({field: 10**12}))
    other = {Treatment.SPLIT: Treatment.COMBINE, Treatment.COMBINE: Treatment.SPLIT}[best.choice]
    with pytest.raises(ResultError, match=rf"^up3: exhaustive: the total is not that of {other}"):
        replace(
            best, choice=other, split_total=Price.of(1, 1), shared_total=Price.of(2, 2), total=Price.of(3, 3)
        )
