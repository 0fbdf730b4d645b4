"""A rigorous lower bound from a solver's multipliers, whatever its tolerance was.

For any multipliers ``lambda >= 0`` the Lagrangian ``L(x) = cost . x + sum lambda_i g_i(x)`` is at most the
cost at every feasible ``x`` (weak duality). ``L`` is convex, so it lies above its tangent at any ``x0``; over
the box of the variables a tangent is least at a corner, coordinate by coordinate:

    bound = L(x0) + sum over i of min(L'_i(x0) * (low_i - x0_i), L'_i(x0) * (high_i - x0_i))

At an exact optimum ``L'`` vanishes where ``x0`` is inside the box, and the bound is the optimum. A point or
multipliers that are a little off, or plainly wrong, make the bound lower, never false. What remains is
floating-point rounding, of the sums here and of the coefficients: a multiple of the sum of all magnitudes.
"""

from __future__ import annotations

import numpy as np

from solvers.bounds.posynomial import Floats, Program

_ROUNDING = 1e-12
"""Relative to the sum of magnitudes: several thousand units in the last place, for fewer than 300 terms."""


def dual_bound(program: Program, x: Floats, multipliers: Floats) -> float:
    """A lower bound on the cost of all feasible points of a program.

    Args:
        program: the program.
        x: where to linearise; moved into the box.
        multipliers: one per constraint; negative ones are taken as zero.

    Returns:
        The bound; ``-inf`` if a number is not finite.
    """
    if not (np.isfinite(x).all() and np.isfinite(multipliers).all()):
        return float("-inf")
    x = np.clip(x, program.low, program.high)
    weights = np.maximum(multipliers, 0.0)
    exponentials = weights[program.row] * program.exponentials(x)
    linear = program.cost + weights @ program.linear
    constant = weights * program.constant
    gradient = linear + exponentials @ program.power
    steps = np.minimum(gradient * (program.low - x), gradient * (program.high - x))
    bound = float(exponentials.sum() + linear @ x + constant.sum() + steps.sum())
    width = program.high - program.low
    size = np.abs(program.cost) + weights @ np.abs(program.linear) + exponentials @ np.abs(program.power)
    magnitude = float(exponentials.sum() + np.abs(constant).sum() + size @ (np.abs(x) + width))
    bound -= _ROUNDING * magnitude
    return bound if np.isfinite(bound) else float("-inf")
