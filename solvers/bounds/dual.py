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

from solvers.backends.posynomial import Floats, Program

_ROUNDING = 1e-12
"""Relative to the sum of magnitudes: several thousand units in the last place, for fewer than 300 terms."""
_STEPS = 30  # of Newton's method; some seven are enough
_CLOSE = 1e-7  # what is left to gain, at which it stops
_DAMPING = 1e-6, 1e-9, 1e-3  # at first, at least, and at least where a step was none


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


def lowest(program: Program, x: Floats, multipliers: Floats) -> Floats:
    """Where the Lagrangian is about least in the box: multipliers bound the most if linearised there.

    Newton's method, damped, on the variables that are not at an end of their range; what is only linear goes
    to the better end. Wherever it stops, ``dual_bound`` there is a bound.

    Args:
        program: the program.
        x: where to begin; moved into the box.
        multipliers: as of ``dual_bound``, finite.
    """
    low, high, weights = program.low, program.high, np.maximum(multipliers, 0.0)
    linear = program.cost + weights @ program.linear
    kept = weights[program.row] > 0
    coef, power = (weights[program.row] * program.coef)[kept], program.power[kept]
    curved = (power != 0).any(axis=0)
    x = np.where(curved, np.clip(x, low, high), np.where(linear > 0, low, high))
    each = coef * np.exp(power @ x)
    value, (damping, *least) = each.sum() + linear @ x, _DAMPING
    for _ in range(_STEPS):
        slope = linear + each @ power
        if np.minimum(slope * (low - x), slope * (high - x)).sum() > -_CLOSE:
            break
        free = np.flatnonzero(curved & ~((x <= low) & (slope > 0)) & ~((x >= high) & (slope < 0)))
        hessian = (power[:, free].T * each) @ power[:, free]
        hessian.flat[:: len(free) + 1] += damping
        y = x.copy()
        y[free] = np.clip(x[free] - np.linalg.solve(hessian, slope[free]), low[free], high[free])
        there = coef * np.exp(power @ y)
        lower = there.sum() + linear @ y
        if lower < value:
            x, each, value, damping = y, there, lower, max(damping / 10, least[0])
        else:
            damping = max(damping * 10, least[1])
    return x
