"""The exact problem as a mixed-integer linear program in Pyomo.

Sets. A *variant* v is a loop order together with whether all input channels are one tile; in each the widths
of partial sums and the sliding ifmap are settled. A, B, K are its candidate tiles of output channels (a),
input channels (b), and batch and spatial axes (k).

Choice (``variant``, ``out``, ``inp``, ``tile`` are binary):

    sum_v variant[v] = 1,   sum_a out[v,a] = sum_b inp[v,b] = sum_k tile[v,k] = variant[v]

Products of two choices by disaggregation, in hull form (each is the convex hull of the products, so no
big-M is needed), ``>= 0``:

    sum_k ok[v,a,k] = out[v,a],   sum_a ok[v,a,k] = tile[v,k]        and likewise ik (b, k), oi (a, b)

Buffer, needs in whole banks if there are any; the parts are given, or variables:

    sum ik * ifmap_need(b,k) <= part[I]
    sum ok * ofmap_need(a,k) <= part[O]
    sum oi * weight_need(a,b) <= part[W],    part[I] + part[O] + part[W] <= buffer

Traffic, with n the trips (1 for the group that the loop order has innermost):

    traffic = sum ok * (n_a * ifmap(k) + n_k * weights) + sum inp * (n_b writes, n_b - 1 reads of the ofmap)

Compute is the product of three cycle factors. That of the pair (a, k) is known; if the input channels' differ
between candidates, it is disaggregated over them, between its least value and its greatest of interest:

    z(a,k) = f_a * f_k;  share[v,b] >= 0;  share[v,b] <= (max z - min z) * inp[v,b]
    sum_b share[v,b] = sum ok * (z(a,k) - min z)
    compute = groups * sum_b f_b * (min z * inp[v,b] + share[v,b])

If setting transfers up takes time, their number is a product like ``compute``: of the input channels' trips
beyond the first, and of how many more transfers each of these makes, known of the pair (a, k) (``turn``):

    set-ups = per transfer * (sum ok * (transfers with one trip) + sum_b (n_b - 1) * (min z' * inp + turn))

Latency, with the edge the largest tile of each tensor once, and the set-ups of these:

    latency >= compute + edge,  latency >= transfer + set-ups      (double-buffered)
    latency  = compute + transfer + set-ups                        (otherwise)

Energy, with m the passes of a group between buffer and array (``cost.array_passes``), is linear as well:

    energy = e_mac * MACs + (e_sram + e_dram) * traffic + p_static * latency
             + e_sram * (sum out * m_a * ifmap + sum tile * m_k * weights + sum inp * (2 m_b - 1) * ofmap)

Scaling (``formulation.program.scaling``). Latency and traffic start near zero, and are measured in units such
that the incumbent is at ``SPAN``; coefficients span six orders of magnitude, rounded down: the program bounds
the exact one from below, by at most ``Milp.margin``, and what it allows in excess is checked exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyomo.core as pyo
from pyomo.repn.standard_repn import generate_standard_repn

from formulation.mapping import Stationary
from formulation.program.candidates import Candidates, Check
from formulation.program.coefficients import (
    TENSORS,
    WHOLE,
    Keys,
    VariantTerms,
    merge,
    variant_name,
    variants_of,
)
from formulation.program.quantities import add_axes, add_score_cap
from formulation.program.scaling import GRAIN, SPAN, ProgramAim, Scale, rounded_sum
from formulation.space.space import Space


@dataclass(frozen=True, slots=True)
class Milp:
    """A model with what is needed to read its solution.

    Attributes:
        model: the Pyomo model.
        objective: scale of its objective.
        margin: by how much the scaled objective may be below the exact one, rounding in all.
        labels: position in its table of each tile's binary, by (family, index).
        variants: what it is made of.
        axes: scale of the variable of each quantity that is modelled, by its name.
    """

    model: Any
    objective: Scale
    margin: float
    labels: Mapping[tuple[str, Keys], int]
    variants: tuple[VariantTerms, ...]
    axes: Mapping[str, Scale]

    def choice(self) -> tuple[Stationary, int, int, int]:
        """Loop order, and positions of the tiles, in the model's solution."""
        name = next(name for name, v in self.model.variant.items() if v.value > 0.5)
        picked = []
        for family in ("out", "inp", "tile"):
            binaries = getattr(self.model, family)
            picked += [self.labels[family, k] for k, v in binaries.items() if k[0] == name and v.value > 0.5]
        out, inp, tile = picked
        return Stationary(name.removesuffix(WHOLE)), out, inp, tile

    def binaries(
        self, stationary: Stationary, whole: bool, co: int, ci: int, row: int
    ) -> list[tuple[Any, int]]:
        """Values of all binaries for a mapping of the model: a start for the solver."""
        name = variant_name(stationary, whole)
        values = [(v, int(key == name)) for key, v in self.model.variant.items()]
        for family, position in (("out", co), ("inp", ci), ("tile", row)):
            for key, v in getattr(self.model, family).items():
                values.append((v, int(key[0] == name and self.labels[family, key] == position)))
        return values

    def cheapest(self, whole: bool, co: int, ci: int, row: int) -> Stationary | None:
        """The loop order in which the program knows a mapping at its own price, or at all; None if none."""
        moved = [(v.moves(co, ci, row), v.stationary) for v in self.variants if v.whole == whole]
        known = [(bits, stationary) for bits, stationary in moved if bits is not None]
        return min(known, key=lambda found: found[0])[1] if known else None

    def forbid(self, stationary: Stationary, whole: bool, co: int, ci: int, row: int) -> None:
        """Cut one mapping off."""
        if not hasattr(self.model, "forbidden"):
            self.model.forbidden = pyo.ConstraintList()
        chosen = [v for v, one in self.binaries(stationary, whole, co, ci, row) if one]
        self.model.forbidden.add(sum(chosen) <= len(chosen) - 1)


def build_milp(space: Space, found: Candidates, aim: ProgramAim, check: Check = bool) -> Milp:
    """The program over the given candidates; the module's text has the equations.

    Args:
        space: the map space.
        found: candidate mappings. Combinations of their tiles that are not among them are allowed as well.
        aim: objective and caps.
        check: called between pieces of work; what it raises ends it.
    """
    variants = variants_of(space, found)
    model = pyo.ConcreteModel()
    labels = _choices(model, variants, check)
    _buffer(model, space, variants)
    check()
    axes = add_axes(model, space, variants, aim)
    if aim.score_cap is not None:
        add_score_cap(model, aim.score_cap, axes)
    check()
    return Milp(model, _objective(model, aim, axes), _margin(model), labels, tuple(variants), axes)


def _choices(model: Any, variants: list[VariantTerms], check: Check) -> dict[tuple[str, Keys], int]:
    """Unary choices, and products of two of them."""
    model.variant = pyo.Var([v.name for v in variants], domain=pyo.Binary)
    labels: dict[tuple[str, Keys], int] = {}
    for family, column in (("out", "co"), ("inp", "ci"), ("tile", "rows")):
        for v in variants:
            labels |= {(family, v.index(family, int(i))): int(i) for i in getattr(v, column)}
        check()
        index = [key for name, key in labels if name == family]
        setattr(model, family, pyo.Var(index, domain=pyo.Binary))
    pairs = {family: [k for v in variants for k in _indices(v, family)] for family in ("ok", "ik", "oi")}
    for family, index in pairs.items():
        check()
        setattr(model, family, pyo.Var(index, domain=pyo.NonNegativeReals))
    model.one_variant = pyo.Constraint(expr=sum(model.variant.values()) == 1)
    for family in ("out", "inp", "tile"):
        _sums(model, f"one_{family}", getattr(model, family), model.variant, lambda key: key[0], check)
    for family, one, two in (("ok", "out", "tile"), ("ik", "inp", "tile"), ("oi", "out", "inp")):
        _sums(
            model, f"{family}_{one}", getattr(model, family), getattr(model, one), lambda key: key[:2], check
        )
        _sums(
            model,
            f"{family}_{two}",
            getattr(model, family),
            getattr(model, two),
            lambda key: (key[0], key[2]),
            check,
        )
    return labels


def _indices(variant: VariantTerms, family: str) -> Iterable[Keys]:
    return (variant.index(family, int(i), int(j)) for i, j in zip(*getattr(variant, family), strict=True))


def _sums(model: Any, name: str, parts: Any, whole: Any, of: Any, check: Check) -> None:
    """``whole[i]`` is the sum of the ``parts`` that belong to ``i``."""
    members: dict[Any, list[Any]] = {key: [] for key in whole}
    for key, variable in parts.items():
        members[of(key)].append(variable)

    rows = pyo.Constraint(list(whole))
    setattr(model, name, rows)
    for at in whole:  # not by a rule: Pyomo tells as an error what a rule raises
        check()
        rows[at] = pyo.quicksum(members[at]) == whole[at]


def _buffer(model: Any, space: Space, variants: list[VariantTerms]) -> None:
    """Every tensor's tile fits its part, and the parts fit the buffer; scaled to ``SPAN``, or in banks.

    Needs are whole banks; so parts are, or can be cut down to it, and their variables need not be integer.
    """
    hardware, given = space.problem.hardware, space.problem.partition
    banks = hardware.buffer_bits // hardware.bank_bits
    unit = 1.0 if hardware.bank_bytes else banks / SPAN
    model.part = pyo.Var(TENSORS, bounds=(0, banks / unit))
    for tensor in TENSORS:
        if given is not None:
            model.part[tensor].fix(getattr(given, tensor) // hardware.bank_bits / unit)
    needs = {tensor: merge(v.needs()[tensor] for v in variants) for tensor in TENSORS}

    def fits(m: Any, tensor: str) -> Any:
        return rounded_sum(m, needs[tensor], unit) <= m.part[tensor]

    model.fits = pyo.Constraint(TENSORS, rule=fits)
    if given is None:
        model.buffer = pyo.Constraint(expr=sum(model.part.values()) <= banks / unit)


def _margin(model: Any) -> float:
    """A mapping has at most one term of each of nine families in a row, each rounded by one grain; of eleven
    where runs take whole bursts.

    Energy may have latency among its terms, and then what that is rounded by, as often as it is in it.
    """
    names = ("moves", "computes", "transfers", "works", "spends")
    rows = [getattr(model, name) for name in names if hasattr(model, name)]
    forms = [generate_standard_repn(row.body, compute_values=True) for row in rows]
    largest, again = max(abs(c) for form in forms for c in form.linear_coefs), 0.0
    if hasattr(model, "spends") and hasattr(model, "latency"):
        pairs = zip(forms[-1].linear_vars, forms[-1].linear_coefs, strict=True)
        again = sum(abs(c) for v, c in pairs if v is model.latency)
    terms = 12 if hasattr(model, "fetch") else 10
    return float(terms * GRAIN * max(SPAN, largest) * (1 + again))


def _objective(model: Any, aim: ProgramAim, axes: Mapping[str, Scale]) -> Scale:
    """The weighted sum of the quantities above its floor, in units; one alone as it is."""
    weights = aim.weights._asdict()
    parts = [(weights[n], axes[n], getattr(model, n)) for n in ("traffic", "latency", "energy") if n in axes]
    lowest = sum(weight * scale.floor for weight, scale, _ in parts)
    unit = sum(weight * scale.unit for weight, scale, _ in parts)
    expr = sum(weight * scale.unit / unit * variable for weight, scale, variable in parts if weight)
    model.objective = pyo.Objective(expr=expr)
    return Scale(lowest, unit)
