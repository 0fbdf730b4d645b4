"""Where certificates' trees are cut, how large they may be, and what multipliers keep of a model's bound."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from random import Random

import pytest

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import Hardware
from formulation.problem import Kind, Objective, Problem
from solvers import check, solve
from solvers.certificates import trees
from solvers.certificates.multipliers import Pricer
from solvers.network.data.posed import posed
from tests.certificates.test_check import SMALL


def moves(order, tile, whole):
    """What decides by which formula a tile moves: whether there are partial sums, and what moves again."""
    cut = [t < n for t, (_, n) in zip(tile, whole, strict=True)]
    again = cut[0] if order == "input" else any(cut[2:])
    return cut[1], again and not (order == "output" and cut[1])


def within(tile, box):
    return all(lo <= x <= hi for x, (lo, hi) in zip(tile, box, strict=True))


@pytest.mark.parametrize("order", check.ORDERS)
def test_a_box_is_cut_until_its_tensors_move_by_one_formula(order):
    model, random = check.Model(posed(SMALL)), Random(3)
    tiles = list(product(*(range(1, n + 1) for _, n in model.whole)))
    seen = set()
    for _ in range(300):
        box = [tuple(sorted(random.choices(range(1, n + 1), k=2))) for _, n in model.whole]
        inside = [tile for tile in tiles if within(tile, box)]
        cut = trees._parted(model, order, box)
        assert (cut is None) == (len({moves(order, tile, model.whole) for tile in inside}) == 1)
        if cut is not None:
            d, at = cut
            assert box[d][0] <= at < box[d][1]
            part = [sum(within(tile, half) for tile in inside) for half in trees.halves(box, d, at)]
            assert sum(part) == len(inside)
            assert all(part)
        seen.add(cut is None)
    assert seen == {True, False}


def test_a_tree_has_as_many_leaves_as_are_allowed_and_no_more(monkeypatch):
    problem, way = replace(SMALL, objective=Objective(Kind.TRAFFIC)), ("weight", 0)
    claim = check.Claim(check.Model(posed(problem)), solve(problem).objective_value, None, False, {})
    leaves = sum(":" not in token for token in trees.tree(claim, way).split())
    assert leaves > 3
    monkeypatch.setattr(trees, "MOST_LEAVES", leaves)
    assert trees.tree(claim, way)
    monkeypatch.setattr(trees, "MOST_LEAVES", leaves - 2)
    with pytest.raises(trees.NoProof, match=f"more than {leaves - 2} leaves"):
        trees.tree(claim, way)


AXIS = Axis(28, 3, 1, 1, 1, 1, 28)
PROBLEM = Problem(Layer("conv", 128, 64, (AXIS, AXIS)), Hardware(buffer_bytes=65536))


@pytest.mark.parametrize(
    ("kind", "bandwidth"), [(Kind.BALANCED, "25.6"), (Kind.LATENCY, "2"), (Kind.WEIGHTED, "25.6")]
)
def test_multipliers_bound_a_box_as_its_model_does(kind, bandwidth):
    """To a thousandth in boxes in which every tensor moves by one formula; nowhere far above it."""
    machine = replace(PROBLEM.hardware, bandwidth=Fraction(bandwidth))
    problem = replace(PROBLEM, hardware=machine, objective=Objective(kind))
    result, model, cap = solve(problem), check.Model(posed(problem)), None
    for step in problem.steps:
        latency = problem.objective.capped and cap is None
        measure, pricer = step.measures[0], Pricer(problem, result.mapping, step)
        solved, solving = [], pricer._run.bounder.solve
        pricer._run.bounder.solve = lambda *each, s=solving, to=solved: to.append(s(*each)) or to[-1]
        unit = measure.told(machine, measure.exact(pricer._run.least)) if measure.quantity else Fraction(1)
        cut = [(1, max(1, n - 1)) for _, n in model.whole]
        boxes = cut, [cut[0], model.whole[1][1:] * 2, *cut[2:]]
        for box, order in product(boxes, check.ORDERS):
            low = check.Claim(model, Fraction(-(10**12)), cap, latency, {})
            assert pricer(low, (order, 0), box) == "d0"
            bound = unit * Fraction(solved[-1].bound)
            for share, proven in (("0.998", True), ("1.01", False)):
                claim = check.Claim(model, bound * Fraction(share), cap, latency, {})
                assert (pricer(claim, (order, 0), box) is not None) == proven
        if latency:
            fastest = solve(replace(problem, objective=Objective(Kind.LATENCY)))
            cap = problem.cap(fastest.cost.latency_ticks)
