"""Bursts with every method: the whole program and the relaxation beside the exhaustive search."""

from dataclasses import replace

from hypothesis import given

from formulation.problem import Problem
from solvers.methods import solve
from solvers.result import SolutionStatus
from tests import strategies
from tests.strategies import examples


@examples(12)
@given(strategies.problems(set_up=True, most=5, channels=5, most_axes=2), strategies.bursting())
def test_the_whole_program_has_the_optimum_and_no_bound_is_above_it(problem, machine):
    problem = Problem(problem.layer, machine, problem.objective)
    best = solve(problem)
    if best.cost is None:
        return
    price = problem.price(best.cost)
    whole = solve(problem, method="exact", sieve="none")
    assert whole.solution_status is SolutionStatus.OPTIMAL
    assert problem.price(whole.cost) == price
    relaxed = solve(problem, method="constrained")
    assert problem.price(relaxed.cost) == price
    assert relaxed.solution_status is SolutionStatus.OPTIMAL
    assert relaxed.gap == 0
    models = solve(problem, method="constrained", presolve="none")
    assert models.lower_bound.of(problem.objective.claim) <= problem.objective_value(price)
    assert problem.values(problem.price(models.cost)) >= problem.values(price)


@examples(12)
@given(strategies.problems(set_up=True, most=5, channels=5, most_axes=2), strategies.bursting())
def test_bursts_of_one_word_change_nothing(problem, machine):
    """Words of a byte, bursts of a byte."""
    plain = replace(machine, burst_bytes=None, layout=strategies.Layout.NCHW)
    fine = replace(plain, burst_bytes=1, bits=type(plain.bits).uniform(8))
    plain = replace(plain, bits=fine.bits)
    problems = [Problem(problem.layer, m, problem.objective) for m in (plain, fine)]
    costs = [solve(p).cost for p in problems]
    assert (costs[0] is None) == (costs[1] is None)
    if costs[0] is not None:
        assert problems[0].price(costs[0]) == problems[1].price(costs[1])
