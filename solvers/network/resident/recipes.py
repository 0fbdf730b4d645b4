"""How the fronts of blocks beside weights that stay for good are made, and what is known of them so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from formulation.deconv import Treatment
from formulation.hardware import Hardware
from formulation.network.frontiers.front import Sought
from formulation.network.frontiers.frontier import Point
from formulation.network.frontiers.growing import GrowingFrontier
from formulation.network.stacks.stack import Stack
from solvers.network.resident.points import MadeFrontier, Wanted, points
from solvers.network.resident.stack_points import WantedStack, named, stack_points


@dataclass(frozen=True, slots=True)
class Making:
    """What all frontiers are made for.

    Attributes:
        hardware: the machine.
        treatment: of deconvolutions.
        kind: of the objective, or a measure with energy.
        time_limit: seconds for each frontier; None for none.
    """

    hardware: Hardware
    treatment: Treatment
    kind: Sought
    time_limit: float | None


Recipe = Wanted | WantedStack
"""A layer beside a state of its operands, or a stack without names beside one; the rooms are left open."""


@dataclass(eq=False, slots=True)
class Growing:
    """What is known of the states of blocks that are alike.

    Attributes:
        recipe: how the fronts are made.
        name: of the first block.
        known: the fronts.
        failed: an internal error, in one line; "" for none.
    """

    recipe: Recipe
    name: str
    known: GrowingFrontier = field(default_factory=GrowingFrontier)
    failed: str = ""


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A state of a block.

    Attributes:
        growing: what is known of it.
        most: bits that may be left to it.
        stack: the stack, None of a layer.
        stays: tensors of the stack that stay.
    """

    growing: Growing
    most: int
    stack: Stack | None = None
    stays: frozenset[int] = frozenset()

    def own(self, point: Point) -> Point:
        """A point of what is alike as one of the block."""
        return point if self.stack is None else named(point, self.stack, self.stays)


def fronts(making: Making, recipe: Recipe, rooms: tuple[int, ...]) -> MadeFrontier:
    """The points of the fronts of some rooms, descending [bits]."""
    if isinstance(recipe, Wanted):
        wanted = replace(recipe, rooms=rooms)
        return points(making.hardware, making.treatment, making.kind, wanted, making.time_limit)
    ((stays, _, _),) = recipe.states
    stack = replace(recipe, states=((stays, rooms[0], rooms),))
    return stack_points(making.hardware, making.kind, stack, making.time_limit)[0]
