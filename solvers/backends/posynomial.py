"""From a Pyomo model to numbers: sums of exponentials of affine functions, with exact derivatives.

``Form`` is extracted once per model structure; it knows which exponentials there are and keeps the Pyomo
expressions of their coefficients. ``Form.program`` evaluates those for the parameters' present values.

A model that has any other shape, or a negative coefficient before an exponential, is refused: what passes
is convex, which the dual bound (``solvers.bounds.dual``) rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyomo.core.base import Constraint, Objective, Var, value
from pyomo.core.expr.numeric_expr import (
    DivisionExpression,
    NegationExpression,
    ProductExpression,
    SumExpressionBase,
    UnaryFunctionExpression,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_Key = tuple[tuple[tuple[int, float], ...], int | None]
"""A product: exponents of e per variable, and a variable that it is linear in, or None."""
_ONE: _Key = ((), None)


class NotConvexError(ValueError):
    """A model is not a sum of exponentials of affine functions with coefficients that are not negative."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """``min cost . x``, subject to ``sum of coef * exp(power . x) + linear . x + constant <= 0``, in a box.

    Attributes:
        names: of the variables.
        rows: names of the constraints.
        cost: of each variable.
        low: least value of each variable.
        high: greatest value of each variable.
        row: constraint of each exponential.
        coef: coefficient of each exponential, none negative.
        power: exponents, one row per exponential.
        linear: one row per constraint.
        constant: of each constraint.
    """

    names: tuple[str, ...]
    rows: tuple[str, ...]
    cost: Floats
    low: Floats
    high: Floats
    row: Ints
    coef: Floats
    power: Floats
    linear: Floats
    constant: Floats

    def position(self, name: str) -> int:
        """Index of a variable."""
        return self.names.index(name)

    def exponentials(self, x: Floats) -> Floats:
        """Value of each exponential with its coefficient."""
        return np.asarray(self.coef * np.exp(self.power @ x))

    def constraints(self, x: Floats) -> Floats:
        """Left-hand sides; feasible if none is above zero."""
        sums = np.bincount(self.row, self.exponentials(x), len(self.rows))
        return np.asarray(sums + self.linear @ x + self.constant)


@dataclass(slots=True)
class _Row:
    name: str
    constraint: Any
    terms: dict[_Key, Any] = field(default_factory=dict)


class Form:
    """The shape of a Pyomo model with constraints ``body <= 0`` and a linear objective.

    Args:
        model: read now; its parameters and its variables' bounds are read again by ``program``.

    Raises:
        NotConvexError: if an expression is no sum of exponentials of affine functions.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.variables = list(model.component_data_objects(Var, descend_into=True))
        self._index = {id(v): i for i, v in enumerate(self.variables)}
        self.names = tuple(v.name for v in self.variables)
        self._rows = [self._row(c) for c in model.component_data_objects(Constraint)]
        (objective,) = model.component_data_objects(Objective, active=True)
        self._cost = self._terms(objective.expr)
        if any(powers or j is None for powers, j in self._cost):
            raise NotConvexError("the objective must be linear")
        terms = [*self._cost.values(), *(c for row in self._rows for c in row.terms.values())]
        self._parameters, self._coefficients = _compiled(terms)

    def _row(self, constraint: Any) -> _Row:
        if constraint.upper is None or constraint.lower is not None:
            raise NotConvexError(f"{constraint.name} is not of the form body <= bound")
        terms = self._terms(constraint.body)
        for powers, linear in terms:
            if powers and linear is not None:
                raise NotConvexError(f"{constraint.name} has a variable times an exponential")
        return _Row(constraint.name, constraint, _sum([terms, {_ONE: -constraint.upper}]))

    def _terms(self, node: Any) -> dict[_Key, Any]:
        """An expression as a sum of coefficients times products."""
        if not hasattr(node, "is_potentially_variable") or not node.is_potentially_variable():
            return {_ONE: node}
        if not node.is_expression_type():
            return {((), self._index[id(node)]): 1.0}
        if isinstance(node, SumExpressionBase):
            return _sum(self._terms(arg) for arg in node.args)
        if isinstance(node, ProductExpression):
            return _product(*(self._terms(arg) for arg in node.args))
        if isinstance(node, NegationExpression):
            return _product(self._terms(node.args[0]), {_ONE: -1.0})
        if isinstance(node, DivisionExpression) and not _varies(node.args[1]):
            return _product(self._terms(node.args[0]), {_ONE: 1.0 / node.args[1]})
        if isinstance(node, UnaryFunctionExpression) and node.getname() == "exp":
            return {(self._exponents(node.args[0]), None): 1.0}
        raise NotConvexError(f"not a sum of exponentials of affine functions: {node}")

    def _exponents(self, node: Any) -> tuple[tuple[int, float], ...]:
        terms = self._terms(node)
        if any(powers or j is None for powers, j in terms):
            raise NotConvexError(f"an exponent must be linear: {node}")
        return tuple(sorted((j, float(value(c))) for (_, j), c in terms.items() if j is not None))

    def program(self) -> Program:
        """The model with the present values of its parameters; inactive constraints are left out."""
        numbers = iter(self._coefficients([p.value for p in self._parameters]))
        n = len(self.names)
        cost = np.zeros(n)
        for _, j in self._cost:
            cost[j] = next(numbers)
        active = [(row, [next(numbers) for _ in row.terms]) for row in self._rows]
        active = [(row, values) for row, values in active if row.constraint.active]
        linear, constant = np.zeros((len(active), n)), np.zeros(len(active))
        owners, coefs, powers = [], [], []
        for i, (row, values) in enumerate(active):
            for (exponents, j), number in zip(row.terms, values, strict=True):
                if exponents:
                    if number < 0:
                        raise NotConvexError(f"{row.name} has a negative coefficient before an exponential")
                    owners.append(i)
                    coefs.append(number)
                    powers.append(exponents)
                elif j is None:
                    constant[i] += number
                else:
                    linear[i, j] += number
        power = np.zeros((len(powers), n))
        for k, exponents in enumerate(powers):
            for j, exponent in exponents:
                power[k, j] = exponent
        low = np.array([-np.inf if v.lb is None else float(v.lb) for v in self.variables])
        high = np.array([np.inf if v.ub is None else float(v.ub) for v in self.variables])
        names = tuple(row.name for row, _ in active)
        keep = np.array(coefs) > 0
        owner, coef = np.array(owners)[keep], np.array(coefs)[keep]
        return Program(self.names, names, cost, low, high, owner, coef, power[keep], linear, constant)


def _compiled(expressions: list[Any]) -> tuple[list[Any], Callable[[list[float]], list[float]]]:
    """Expressions of parameters as one Python function of the parameters' values, and the parameters."""
    parameters: dict[int, Any] = {}
    index: dict[int, int] = {}

    def source(node: Any) -> str:
        if not hasattr(node, "is_expression_type"):
            return repr(float(node))
        if node.is_parameter_type():
            parameters[id(node)] = node
            return f"p[{index.setdefault(id(node), len(index))}]"
        if isinstance(node, SumExpressionBase):
            return "(" + " + ".join(map(source, node.args)) + ")"
        if isinstance(node, ProductExpression):
            return "(" + " * ".join(map(source, node.args)) + ")"
        if isinstance(node, DivisionExpression):
            return "(" + " / ".join(map(source, node.args)) + ")"
        if isinstance(node, NegationExpression):
            return f"(-{source(node.args[0])})"
        raise NotConvexError(f"a coefficient is no sum, product or quotient of parameters: {node}")

    code = compile(f"lambda p: [{', '.join(map(source, expressions))}]", "coefficients", "eval")
    function: Callable[[list[float]], list[float]] = eval(code)
    return list(parameters.values()), function


def _varies(node: Any) -> bool:
    return hasattr(node, "is_potentially_variable") and bool(node.is_potentially_variable())


def _sum(parts: Iterable[dict[_Key, Any]]) -> dict[_Key, Any]:
    total: dict[_Key, Any] = {}
    for part in parts:
        for key, coefficient in part.items():
            total[key] = total[key] + coefficient if key in total else coefficient
    return total


def _product(left: dict[_Key, Any], right: dict[_Key, Any]) -> dict[_Key, Any]:
    return _sum({_times(a, b): x * y} for a, x in left.items() for b, y in right.items())


def _times(left: _Key, right: _Key) -> _Key:
    """The product of two products: exponents add."""
    if left[1] is not None and right[1] is not None:
        raise NotConvexError("a product of two variables")
    exponents = dict(left[0])
    for j, power in right[0]:
        exponents[j] = exponents.get(j, 0.0) + power
    kept = tuple(sorted((j, p) for j, p in exponents.items() if p))
    return kept, left[1] if right[1] is None else right[1]
