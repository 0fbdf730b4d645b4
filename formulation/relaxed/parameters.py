"""Setting what is mutable in a relaxed model: coefficients, bounds, which constraints hold."""

from __future__ import annotations

from typing import Any

from formulation.relaxed.underestimates import LINES, MONOMIALS, Underestimate


def load_underestimate(model: Any, name: str, index: str, under: Underestimate) -> None:
    """Set the coefficients of an under-estimate; constraints that it has no use for are switched off."""
    for family, keys, rows in (("line", "AB", under.lines), ("monomial", "CS", under.monomials)):
        coefficients = getattr(model, f"{name}_{family}")
        constraints = getattr(model, f"{name}_above_{family}")
        for k in range(LINES if family == "line" else MONOMIALS):
            switch(constraints[index, k], k < len(rows))
            for key, value in zip(keys, rows[k] if k < len(rows) else (0.0, 0.0), strict=True):
                coefficients[index, k, key].set_value(value)


def switch(constraint: Any, active: bool) -> None:
    """Switch a constraint on or off."""
    if active:
        constraint.activate()
    else:
        constraint.deactivate()


def set_range(variable: Any, low: float, high: float) -> None:
    """Set a variable's bounds."""
    variable.setlb(low)
    variable.setub(high)
