"""Dual multipliers for certificates: those that IPOPT finds for the relaxed model of a box of tile sizes.

A certificate's proof of a box is the tangent of its Lagrangian at a point (``solvers.check``). Prices and
point are taken from the relaxed model of the same box, in the checker's units. Any others would bound the
box as well, only lower, so nothing here has to be exact.
"""

from __future__ import annotations

from fractions import Fraction
from math import exp, frexp
from typing import Any

from formulation.cost import Trips, array_side, passes
from formulation.mapping import Group, Mapping, Stationary
from formulation.pricing.objective import ENERGY, LATENCY, Step
from formulation.problem import Problem
from formulation.relaxed.classes import Variant
from formulation.relaxed.layers import LayerRelaxation
from formulation.relaxed.structure import TENSORS, Structure
from solvers.bounds.bounded import SolvedModel
from solvers.bounds.bounding import Bounder
from solvers.bounds.branching import Presolving
from solvers.certificates.trees import Box, Way
from solvers.check import Claim, Model
from solvers.goals import Goal
from solvers.layers.constrained import LayerRun

_BITS = 20  # of a number in a certificate; what rounding loses is of second order
_ITERATIONS = 300
_NONE = Fraction(0)


class Pricer:
    """Multipliers for one claim on a layer.

    Args:
        problem: the layer.
        mapping: one that fits, and is within the cap.
        step: of the objective, whose first measure is bounded.
    """

    def __init__(self, problem: Problem, mapping: Mapping, step: Step) -> None:
        self.problem, self.measure = problem, step.measures[0]
        self._run = LayerRun(
            problem,
            Bounder(LayerRelaxation(problem), problem.needs(LATENCY), None, _ITERATIONS),
            0,
            mapping,
            Presolving.NONE,
        )
        self._run.best = self._run.known[0]
        self._measures = step.measures

    def __call__(self, claim: Claim, way: Way, box: Box) -> str | None:
        """A leaf of multipliers for a box; None if those of its relaxed model do not bound it so."""
        aim = self._run.aim(Goal(self._measures, claim.cap))
        self._run.lists(aim)
        bounder, variant = self._run.bounder, self._variant(Stationary(way[0]), box, way[1])
        solved = bounder.solve(variant, bounder.aimed(variant, aim), aim)
        if not isinstance(solved, SolvedModel):
            return None
        name = f"d{len(claim.duals)}"
        claim.duals[name] = self._told(claim, way, box, solved)
        if _proves(claim, way, box, name):
            return name
        del claim.duals[name]
        return None

    def _variant(self, order: Stationary, box: Box, slide: int) -> Variant:
        """The class of a box, of an order of loops in which its tensors move as often as they do."""
        extents = tuple(self._run.bounder.relaxation.extents.values())
        ends = list(zip(box, extents, strict=True))
        cut = [hi < n for (_, hi), n in ends]
        whole = [lo == n for (lo, _), n in ends]
        many = Trips(*(1 + some for some in (cut[0], cut[1], any(cut[2:]))))
        single = Trips(whole[0], whole[1], all(whole[2:]))
        layer, hardware = self.problem.layer, self.problem.hardware
        timed, summed = self.problem.needs(LATENCY), self.problem.objective.needs(ENERGY)
        set_up = timed and hardware.transfer_setup > 0
        flags = cut[1], hardware.double_buffered, timed, summed, False, set_up
        structures = [Structure(len(layer.axes), o, *flags) for o in (order, *Stationary)]

        def alike(structure: Structure) -> bool:
            """Whether a class moves what the box moves, groups of one trip aside."""
            pairs = (
                (passes(structure.stationary, g, structure.trips), passes(order, g, many), g) for g in Group
            )
            return all((ours > 1) == (theirs > 1) or single.of(g) for ours, theirs, g in pairs)

        structure = next(filter(alike, structures), structures[0])
        return Variant(structure, slide - 1 if slide else None, tuple(box), extents)

    def _told(self, claim: Claim, way: Way, box: Box, solved: SolvedModel) -> dict[str, Any]:
        """Prices of ticks and of bits of the buffer, the point, and the coefficients there."""
        hardware, least = self.problem.hardware, self._run.least
        row = dict(zip(solved.program.rows, map(float, solved.multipliers), strict=True))
        unit = (
            self.measure.told(hardware, self.measure.exact(least)) if self.measure.quantity else Fraction(1)
        )
        tick, own = float(unit / least.latency), Fraction(claim.worth[0])
        computed, sent = (max(0.0, row.get(name, 0.0)) * tick for name in ("computed", "transferred"))
        if claim.cap is None and computed + sent:
            computed, sent = (x * float(own) / (computed + sent) for x in (computed, sent))
        late = max(_NONE, _number(computed) + _number(sent) - own) if claim.cap is not None else _NONE
        bus = min(_number(sent), own + late)
        rooms = [_number(row[f"footprint[{x}]"] * float(unit) / hardware.buffer_bits) for x in TENSORS]
        point = [[_number(x) for x in column] for column in self._point(solved)]
        prices = [own + late - bus, bus, *claim.worth[1:], *rooms]
        return {
            **dict(zip(("late", "bus", *TENSORS), map(str, (late, bus, *rooms)), strict=True)),
            "point": _texts(point),
            "coefficients": _texts(_coefficients(claim.model, way, box, prices, point)),
        }

    def _point(self, solved: SolvedModel) -> list[list[float]]:
        """The columns of the checker's tables where the model has its optimum, dimension by dimension."""
        relaxation, hardware = self._run.bounder.relaxation, self.problem.hardware
        rows = []
        for d, trips in solved.trips.items():
            size = relaxation.product(solved.variant, d) / trips
            if d in ("co", "ci"):
                cycles = _value(solved, f"log_cycles[{d}]")
                entries = trips if array_side(hardware, Group(d)) is None else cycles
                rows.append([trips, size, 2 * trips - 1, cycles, entries])
            else:
                words = _value(solved, f"log_fetched[{d}]", relaxation.extents[d])
                rows.append([trips, words, words, _value(solved, f"log_largest[{d}]", size), size])
        return rows


def _coefficients(
    model: Model, way: Way, box: Box, prices: list[Fraction], point: list[list[Fraction]]
) -> list[list[Fraction]]:
    """Of each column's logarithm in the tangent: what the Lagrangian loses where the column is zero."""

    def lagrangian(d: int, column: list[Fraction]) -> Fraction:
        costs = model.costs(way, box, (), [*point[:d], column, *point[d + 1 :]])
        return sum((p * x for p, x in zip(prices, costs, strict=True)), _NONE)

    whole = lagrangian(0, point[0])
    return [
        [whole - lagrangian(d, [*column[:c], _NONE, *column[c + 1 :]]) for c in range(len(column))]
        for d, column in enumerate(point)
    ]


def _texts(rows: list[list[Fraction]]) -> list[str]:
    return [" ".join(map(str, row)) for row in rows]


def _proves(claim: Claim, way: Way, box: Box, name: str) -> bool:
    """Whether multipliers do; not where a tile needs no input, whose words have no logarithm."""
    try:
        return claim.dual(way, box, name)
    except OverflowError:
        return False


def _value(solved: SolvedModel, name: str, otherwise: float = 1.0) -> float:
    """What a variable is the logarithm of, or what there is where the model has none."""
    return exp(solved.value(name)) if name in solved.program.names else otherwise


def _number(value: float) -> Fraction:
    """A number that is not negative, with a few binary digits."""
    shift = max(0, _BITS - frexp(value)[1])
    return Fraction(round(max(0.0, value) * 2**shift), 2**shift)
