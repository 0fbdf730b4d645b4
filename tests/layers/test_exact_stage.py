"""One mixed-integer program of Exact: what a solver says of it is taken for no more than it is worth."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from formulation.pricing.objective import LATENCY, TRAFFIC, Measure
from solvers.backends.deadline import Deadline
from solvers.backends.milp import MilpAnswer, Size
from solvers.goals import Goal
from solvers.layers import exact_stage
from solvers.layers.exact import SolverDisagreement
from solvers.result import Termination
from tests.layers.test_exact import SMALL, whole_space


def stage_of(problem):
    """The program of least latency over all undominated mappings, from one that is not the best."""
    space, found = whole_space(problem)
    goal = Goal((Measure.only(LATENCY), Measure.only(TRAFFIC)))
    worst = int(np.argmax(found.price.latency))
    stage = exact_stage.ProgramStage(space, goal, goal.measures[:1], found, None)
    stage = replace(stage, best=stage._found(found, worst))
    return stage, stage.program()


def stopped(bound, objective=None):
    """What a solver says at a time limit."""
    nothing = Size(0, 0, 0)
    return MilpAnswer("liar", nothing, Termination.TIME_LIMIT, None, objective, bound)


def test_a_bound_at_a_limit_is_taken_with_its_margin_and_never_below_the_least_candidate():
    stage, milp = stage_of(SMALL)
    least, most = (Fraction(int(end(stage.found.price.latency))) for end in (np.min, np.max))
    between = milp.objective.scaled(float(least + most) / 2)
    assert milp.margin > 0
    assert stage._bound(milp, stopped(between)) == Fraction(milp.objective.value(between - milp.margin))
    below = milp.objective.scaled(float(least)) - 10
    assert stage._bound(milp, stopped(below)) == least
    assert stage._bound(milp, stopped(None)) == least


@pytest.mark.parametrize("margin", [100.0, None])
def test_what_a_solver_calls_optimal_is_held_against_the_candidates(monkeypatch, margin):
    """Within its margin of the best it may return any mapping, the best is taken; beyond, it is an error."""
    stage, _ = stage_of(SMALL)
    order = np.argsort(stage.found.price.latency, kind="stable")
    second = next(i for i in order if stage.found.price.latency[i] > stage.found.price.latency[order[0]])
    answer = stage._found(stage.found, int(second))
    program = exact_stage.ProgramStage.program

    def wide(self, check=bool):
        milp = program(self, check)
        return milp if margin is None else replace(milp, margin=margin)

    def solved(model, **options):
        milp = program(stage)
        said = milp.objective.scaled(float(answer.price.latency))
        return replace(stopped(said, said), termination=Termination.OPTIMAL)

    monkeypatch.setattr(exact_stage.ProgramStage, "program", wide)
    monkeypatch.setattr(exact_stage.ProgramStage, "_priced", lambda self, milp: answer)
    monkeypatch.setattr(exact_stage, "solve_milp", solved)
    backend = exact_stage.Backend(Deadline.of(None), {}, None)
    if margin is None:
        with pytest.raises(SolverDisagreement, match="least latency is"):
            stage.solve(backend)
        return
    settled, bound, done = stage.solve(backend)
    assert (settled.price.latency, bound, done) == (stage.found.price.latency[order[0]],) * 2 + (True,)


@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_a_mapping_that_does_not_cost_what_the_solver_says_is_an_error(shift):
    stage, milp = stage_of(SMALL)
    answer = stage._found(stage.found, int(np.argmin(stage.found.price.latency)))
    true = milp.objective.scaled(float(answer.price.latency))
    said = replace(stopped(None, true + shift), termination=Termination.OPTIMAL)
    with pytest.raises(SolverDisagreement, match="latency"):
        stage._check_answer(answer, milp, said)
    stage._check_answer(answer, milp, replace(said, objective=true))


def test_a_proof_that_excludes_a_known_mapping_is_an_error():
    stage, milp = stage_of(SMALL)
    answer = stage._found(stage.found, int(np.argmin(stage.found.price.latency)))
    true = milp.objective.scaled(float(answer.price.latency))
    with pytest.raises(SolverDisagreement, match="least latency"):
        stage._check_proof(answer, milp, stopped(None, true + 0.5))
    stage._check_proof(answer, milp, stopped(None, true))
