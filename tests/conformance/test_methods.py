"""Every method on the same small problems, under every objective: the known answer, and no claim beyond it.

The known answers are the best of all mappings, counted by ``tests.conformance.reference``. A new method, or a
new solver behind one, is a line in ``METHODS``.
"""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution, Layer
from formulation.deconv import split, unique_layers
from formulation.hardware import BitWidths, Dataflow, Energy, Fill, Halo, Hardware, Layout
from formulation.mapping import Partition
from formulation.pricing.objective import ENERGY
from formulation.problem import Kind, Objective, Problem
from formulation.shared.problem import SharedProblem
from solvers import methods
from solvers.backends.registry import MILP, NLP
from solvers.result import BoundFrom, BoundScope, SolutionStatus, Termination, free_bound
from solvers.shared import methods as shared_methods
from solvers.shared.deconvolution import combine
from tests.conformance.reference import layer_prices, shared_prices
from tests.goals import score

#: Relative; bounds of floating-point solvers.
CLOSE = Fraction(1, 10**8)


@dataclass(frozen=True)
class Method:
    """How it is called, and whether it must prove that its mapping is optimal; every method has a bound."""

    name: str
    proves: bool
    options: dict = field(default_factory=dict)


METHODS = {
    "static": Method("static", proves=True),
    "exhaustive": Method("exhaustive", proves=True),
    **{f"exact, {name}": Method("exact", True, {"backend": name}) for name in MILP},
    "constrained": Method("constrained", proves=False),
    "combined": Method("combined", proves=False),
    **{f"combined, {b}": Method("combined", True, {"exact_after": True, "backend": b}) for b in MILP},
}

#: With the programs of the whole map space as well.
METHODS |= {
    f"exact, {name}, whole": Method("exact", True, {"backend": name, "sieve": "none"}) for name in MILP
}

MACHINES = {
    "plain": Hardware(2, 3, 150, Fraction(3, 2)),
    "awkward": Hardware(
        rows=3,
        cols=2,
        buffer_bytes=200,
        bandwidth=Fraction(37, 10),
        frequency=Fraction(7, 10),
        bits=BitWidths(8, 4, 16, 32),
        dataflow=Dataflow.WEIGHT,
        bank_bytes=13,
        double_buffered=False,
        halo=Halo.REUSE,
        fill=Fill.EXPOSED,
        energy=Energy(Fraction(1, 5), Fraction(3, 10), Fraction(7), Fraction(45)),
    ),
}
SLOW_TO_START = {
    "plain, set-ups": replace(MACHINES["plain"], transfer_setup=3),
    "awkward, set-ups": replace(MACHINES["awkward"], transfer_setup=11),
}
BURSTING = {
    "plain, bursts": replace(MACHINES["plain"], burst_bytes=5, transfer_setup=1),
    "awkward, bursts": replace(
        MACHINES["awkward"], halo=Halo.REFETCH, burst_bytes=4, layout=Layout.NHWC, transfer_setup=2
    ),
}
STREAMING = {f"{name}, streamed": replace(machine, streaming=True) for name, machine in MACHINES.items()}
EVERY_MACHINE = MACHINES | SLOW_TO_START | BURSTING | STREAMING
LAYERS = {
    "1-D": Layer("1-D", 6, 5, (Axis(7, 3, 1, 1, 1, 1, 7),)),
    "2-D": Layer("2-D", 4, 3, (Axis(3, 3, 2, 1, 1, 1, 5), Axis(4, 2, 1, 2, 1, 1, 4)), batch=2, groups=2),
    "product": Layer("product", 7, 8, (Axis(6, in_size=6),)),
}
SMALL = {"small": Layer("small", 4, 4, (Axis(6, 3, 1, 1, 1, 1, 6),))}
DECONVOLUTIONS = {
    "1-D": Deconvolution("1-D", 2, 3, (TransposedAxis(4, 3, 2, pad_lo=1, pad_hi=1, output_padding=1),)),
    "2-D": Deconvolution("2-D", 1, 2, (TransposedAxis(2, 3, 2), TransposedAxis(2, 2, 2))),
}
SHARED = [("1-D", "awkward"), ("2-D", "plain")]
OBJECTIVES = {
    "latency": Objective(Kind.LATENCY),
    "traffic": Objective(Kind.TRAFFIC),
    "balanced": Objective(Kind.BALANCED),
    "balanced, 20 %": Objective(Kind.BALANCED, Fraction(1, 5)),
    "weighted": Objective(Kind.WEIGHTED, latency_weight=Fraction(1, 3), traffic_weight=Fraction(2)),
}
ENERGETIC = {
    "energy": Objective(Kind.ENERGY),
    "weighted, energy": Objective(Kind.WEIGHTED, Fraction(0), Fraction(0), Fraction(1, 2), Fraction(2)),
}


def parts(machine):
    return Partition.from_ratio((3, 3, 4), machine.buffer_bits, machine.bank_bits)


def best(problem, prices):
    """The least latency of all, and latency [cycles], traffic [bits] and energy [pJ] of the optimum."""
    goal = problem.objective
    least = min(latency for latency, *_ in prices)
    keys = {
        Kind.LATENCY: lambda p: p[:2],
        Kind.TRAFFIC: lambda p: (p[1], p[0]),
        Kind.BALANCED: lambda p: (p[0] > (1 + goal.tolerance) * least, p[1], p[0]),
        Kind.ENERGY: lambda p: (p[2], p[0], p[1]),
        Kind.WEIGHTED: lambda p: (weighed(problem, p), *p[:2]),
    }
    return least, min(prices, key=keys[goal.kind])


def weighed(problem, price):
    """The score of a latency [cycles], traffic [bits] and energy [pJ, or None]."""
    latency, bits, energy = price
    quanta = 0 if energy is None else energy * problem.hardware.quantum.per_unit
    return score(problem, latency * problem.hardware.tick.per_cycle, bits, quanta)


def no_more(bound, value):
    """A bound that a method has is not above what some mapping has."""
    return bound is None or bound <= value * (1 + CLOSE)


ORIGINS = {
    "static": {"enumeration"},
    "exhaustive": {"enumeration"},
    "exact": {"free", "sieve", "program"},
    "constrained": {"free", "presolve", "ipopt", "enumeration"},
    "combined": {"free", "presolve", "ipopt", "enumeration", "sieve", "program"},
}


def rests_on_something(problem, result, method):
    """Each step says what its bound rests on; what is said to be free is what is free."""
    claims = {step.measures[0].name: step.measures[0].claim for step in problem.steps}
    assert set(result.bound_from) <= set(claims)
    assert not method.proves or set(result.bound_from) == set(claims)
    assert {origin.value for origin in result.bound_from.values()} <= ORIGINS[method.name]
    for name, origin in result.bound_from.items():
        known = result.lower_bound.of(claims[name])
        if origin is BoundFrom.FREE:
            assert known == pytest.approx(float(free_bound(problem).of(claims[name])))


def conforms(problem, prices, result, method):
    """A method's answer against the best of all mappings."""
    least, optimum = best(problem, prices)
    goal, cost, bound = problem.objective, result.cost, result.lower_bound
    energy = cost.energy_pj(problem.hardware) if problem.objective.needs(ENERGY) else None
    price = cost.latency_cycles, cost.traffic_bits, energy
    assert cost == problem.evaluate(result.mapping)
    assert problem.is_feasible(cost)
    assert price in prices  # the reference counts the same
    if method.proves or result.solution_status is SolutionStatus.OPTIMAL:
        assert result.solution_status is SolutionStatus.OPTIMAL
        assert result.termination is Termination.OPTIMAL
        assert price[:2] == optimum[:2]
        assert goal.kind is not Kind.ENERGY or price == optimum
        assert result.gap == pytest.approx(0, abs=1e-8)
    assert result.gap is not None
    rests_on_something(problem, result, method)
    assert result.bound_scope is (BoundScope.PARTITION if problem.partition else BoundScope.MAP_SPACE)
    if goal.kind is not Kind.TRAFFIC:
        assert no_more(bound.latency_cycles, least)
    if goal.kind in (Kind.TRAFFIC, Kind.BALANCED):
        assert no_more(bound.traffic_bytes, Fraction(optimum[1], 8))
    if goal.kind is Kind.ENERGY:
        assert no_more(bound.of("energy_pj"), optimum[2])
    if goal.kind is Kind.WEIGHTED:
        assert no_more(bound.score, weighed(problem, optimum))


@pytest.mark.parametrize("objective", OBJECTIVES | ENERGETIC)
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("method", METHODS)
def test_layers(method, machine, layer, objective):
    how, hardware = METHODS[method], EVERY_MACHINE[machine]
    problem = Problem((LAYERS | SMALL)[layer], hardware, (OBJECTIVES | ENERGETIC)[objective])
    if how.name == "static":
        problem = replace(problem, partition=parts(hardware))
    result = methods.solve(problem, method=how.name, **how.options)
    summed = problem.needs(ENERGY)
    prices = layer_prices(problem.layer, hardware, problem.partition, summed=summed)
    conforms(problem, prices, result, how)
    assert result.method == how.name


@pytest.mark.parametrize("objective", ["balanced, 20 %", "weighted, energy"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("machine", SLOW_TO_START)
@pytest.mark.parametrize("method", METHODS)
def test_layers_where_transfers_are_set_up(method, machine, layer, objective):
    test_layers(method, machine, layer, objective)


@pytest.mark.parametrize("objective", ["balanced, 20 %", "weighted, energy"])
@pytest.mark.parametrize(("layer", "machine"), [("1-D", "plain, bursts"), ("2-D", "awkward, bursts")])
@pytest.mark.parametrize("method", METHODS)
def test_layers_where_transfers_take_bursts(method, machine, layer, objective):
    test_layers(method, machine, layer, objective)


@pytest.mark.parametrize(
    ("machine", "objective"),
    [("awkward, streamed", objective) for objective in OBJECTIVES | ENERGETIC]
    + [("plain, streamed", "balanced, 20 %"), ("plain, streamed", "weighted, energy")],
)
@pytest.mark.parametrize("method", METHODS)
def test_layers_whose_tiles_are_streamed(method, machine, objective):
    test_layers(method, machine, "small", objective)


@pytest.mark.parametrize("objective", OBJECTIVES | ENERGETIC)
@pytest.mark.parametrize(("deconvolution", "machine"), SHARED)
@pytest.mark.parametrize("method", METHODS)
def test_deconvolutions_with_shared_tiles(method, machine, deconvolution, objective):
    how, hardware = METHODS[method], EVERY_MACHINE[machine]
    goal = (OBJECTIVES | ENERGETIC)[objective]
    problem = SharedProblem(DECONVOLUTIONS[deconvolution], hardware, goal)
    if how.name == "static":
        problem = replace(problem, partition=parts(hardware))
    result = shared_methods.solve(problem, method=how.name, **how.options)
    summed = problem.needs(ENERGY)
    prices = shared_prices(problem.deconv, hardware, problem.partition, summed=summed)
    conforms(problem, prices, result, how)
    assert result.method == how.name


@pytest.mark.parametrize(("deconvolution", "machine"), SHARED)
@pytest.mark.parametrize("method", METHODS)
def test_deconvolutions_where_transfers_are_set_up(method, machine, deconvolution):
    machine, objective = f"{machine}, set-ups", "balanced, 20 %"
    test_deconvolutions_with_shared_tiles(method, machine, deconvolution, objective)
    test_deconvolutions_run_the_better_way(method, machine, deconvolution, objective)


def better_way(problem, prices, parts):
    """Latency [cycles], traffic [bits], energy [pJ] of a deconvolution run the better way: shared or split.

    Args:
        problem: the shared problem.
        prices: of all mappings with shared tiles.
        parts: for each sub-convolution its problem, the prices of all its mappings, and how many there are.
    """
    least, optima = zip(*(best(part, some) for part, some, _ in parts), strict=True)
    counts = [count for _, _, count in parts]
    summed = 3 if problem.needs(ENERGY) else 2
    sums = (sum(n * o[i] for n, o in zip(counts, optima, strict=True)) for i in range(summed))
    apart = *sums, *([None] * (3 - summed))
    goal = problem.objective
    if goal.kind is Kind.BALANCED:  # one cap for both: by the least latency of either
        fastest = sum(n * x for n, x in zip(counts, least, strict=True))
        cap = (1 + goal.tolerance) * min(fastest, *(price[0] for price in prices))
        ways = {p for p in (apart, *prices) if p[0] <= cap}
        return min(ways, key=lambda p: (p[1], p[0]))
    return best(problem, {apart, *prices})[1]


@pytest.mark.parametrize("objective", OBJECTIVES | ENERGETIC)
@pytest.mark.parametrize(("deconvolution", "machine"), SHARED)
@pytest.mark.parametrize("method", METHODS)
def test_deconvolutions_run_the_better_way(method, machine, deconvolution, objective):
    how, hardware, goal = METHODS[method], EVERY_MACHINE[machine], (OBJECTIVES | ENERGETIC)[objective]
    deconv, given = (
        DECONVOLUTIONS[deconvolution],
        parts(hardware) if METHODS[method].name == "static" else None,
    )
    problem = SharedProblem(deconv, hardware, goal, given)
    summed = problem.needs(ENERGY)
    split_parts = [
        (
            Problem(layer, hardware, goal, given),
            layer_prices(replace(layer, name=""), hardware, given, summed=summed),
            len(alike),
        )
        for layer, alike in unique_layers(split(deconv))
    ]
    prices = shared_prices(deconv, hardware, given, summed=summed)
    latency, bits, energy = better_way(problem, prices, split_parts)
    result = combine(deconv, hardware, goal, given, method=how.name, **how.options)
    if how.proves:
        assert (result.latency_cycles, 8 * result.traffic_bytes) == (latency, bits)
        assert not summed or result.energy_pj == energy
    bound = result.lower_bound
    if goal.kind in (Kind.TRAFFIC, Kind.BALANCED):
        assert no_more(bound.traffic_bytes, Fraction(bits, 8))
    if goal.kind is Kind.LATENCY:
        assert no_more(bound.latency_cycles, latency)
    if goal.kind is Kind.WEIGHTED:
        assert no_more(bound.score, weighed(problem, (latency, bits, energy)))
    if goal.kind is Kind.ENERGY:
        assert no_more(bound.of("energy_pj"), energy)


def test_every_method_and_every_solver_is_here():
    assert {method.name for method in METHODS.values()} == set(methods.METHODS)
    assert {method.options.get("backend") for method in METHODS.values()} >= set(MILP)
    assert set(NLP) == {"ipopt"}  # a second one: as an option of the constrained method, here as well
