"""The exact problem as a mixed-integer linear program in Pyomo.

Sets. A *variant* v is a loop order together with whether all input channels are one tile; in each the widths
of partial sums and the sliding ifmap are settled. A, B, K are its candidate tiles of output channels (a),
input channels (b), and batch and spatial axes (k).

Choice (``variant``, ``out``, ``inp``, ``tile`` are binary):

    sum_v variant[v] = 1,   sum_a out[v,a] = sum_b inp[v,b] = sum_k tile[v,k] = variant[v]

Products of two choices (``formulation.program.products``), each by one variable for every left choice:

    window(v)   ci_b * (words of the largest ifmap tile per channel)_k
    pixels(v)   co_a * (pixels)_k
    beside(v)   ci_b * co_a * taps
    words(v)    n_a * (ifmap words of one pass)_k
    work(v)     f_a * f_k, the cycle factors of output channels and tile

Buffer, in each variant; the parts are given, or variables, whole numbers if there are banks:

    window <= part[v,I],   pixels <= part[v,O],   beside <= part[v,W],   sum part[v,.] <= buffer * variant[v]

Traffic, with n the trips (1 for the group that the loop order has innermost):

    traffic = sum_v words(v) + sum tile * n_k * weights + sum inp * (n_b writes, n_b - 1 reads of the ofmap)

Compute is the product of three cycle factors, ``f_b * work``; if the input channels' differ between
candidates, ``work`` is disaggregated over them, between its least value z and its greatest of interest:

    share[v,b] >= 0;   share[v,b] <= (max - z) * inp[v,b];   sum_b share[v,b] = work(v) - z * variant[v]
    compute = groups * sum_b f_b * (z * inp[v,b] + share[v,b])

If setting transfers up takes time, the same is done with ``pairs(v) = n_a * n_k``: each tensor that moves in
several passes has ``n_b`` transfers for each, the ofmap one less than twice as many; the others ``n_b * n_a``
and ``n_b * n_k`` (``turn``, ``filled``, ``opened``). Where runs take whole bursts, traffic is made of the
products in ``formulation.program.transfers``.

Latency, with the edge the largest tile of each tensor once:

    latency >= compute + edge,  latency >= transfer + set-ups      (double-buffered)
    latency  = compute + transfer + set-ups                        (otherwise)

What is spent, as energy is, at the rates r (``hardware.Rates``), with m the passes of a group between buffer
and array (``cost.array_passes``), is linear as well:

    spent  = r_mac * MACs + r_moved * traffic + r_tick * latency
             + r_port * (sum out * m_a * ifmap + sum tile * m_k * weights + sum inp * (2 m_b - 1) * ofmap)

Scaling (``formulation.program.scaling``). Latency and traffic start near zero, and are measured in units such
that the incumbent is at ``SPAN``; coefficients span six orders of magnitude, rounded down: the program bounds
the exact one from below, by at most ``Milp.margin``, and what it allows in excess is checked exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyomo.core as pyo
from pyomo.repn.standard_repn import generate_standard_repn

from formulation.hardware import Hardware
from formulation.mapping import Partition, Stationary
from formulation.program.candidates import Check
from formulation.program.choices import VariantChoices
from formulation.program.products import Spans, add_products, spans_of
from formulation.program.quantities import (
    Quantities,
    add_quantities,
    add_score_cap,
    in_full,
    quantities,
)
from formulation.program.scaling import GRAIN, SPAN, ProgramAim, Scale, rounded_sum
from formulation.program.terms import (
    TENSORS,
    WHOLE,
    ChoiceTerms,
    Keys,
    variant_name,
)
from formulation.program.transfers import variants_of
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
    variants: tuple[ChoiceTerms, ...]
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


def build_milp(space: Space, chosen: Iterable[VariantChoices], aim: ProgramAim, check: Check = bool) -> Milp:
    """The program over the given choices; the module's text has the equations.

    Args:
        space: the map space.
        chosen: what each variant chooses from. Combinations that are in none of its pairs are allowed as
            well, at their price or above.
        aim: objective and caps.
        check: called between pieces of work; what it raises ends it.
    """
    problem = space.problem
    variants: list[ChoiceTerms] = list(variants_of(space, chosen))
    return program_over(variants, problem.hardware, problem.partition, aim, check)


def program_over(
    variants: list[ChoiceTerms],
    hardware: Hardware,
    partition: Partition | None,
    aim: ProgramAim,
    check: Check = bool,
    more: Callable[[Any, Spans], None] | None = None,
) -> Milp:
    """The program of variants of any kind.

    Args:
        variants: what it is made of.
        hardware: the machine.
        partition: the buffer's parts, if they are given.
        aim: objective and caps.
        check: called between pieces of work; what it raises ends it.
        more: adds what else there is to choose, once the products are there.
    """
    model = pyo.ConcreteModel()
    labels = _choices(model, variants, check)
    asked = quantities(hardware, variants, aim)
    check()
    spans = spans_of(variants, asked.limits(variants))
    slack = add_products(model, variants, spans)
    if more is not None:
        more(model, spans)
    check()
    _buffer(model, hardware, partition, variants, spans)
    add_quantities(model, variants, asked, spans)
    if aim.score_cap is not None:
        add_score_cap(model, aim.score_cap, asked.axes)
    check()
    objective = _objective(model, aim, asked.axes)
    return Milp(model, objective, _margin(model, asked, slack), labels, tuple(variants), asked.axes)


def _choices(model: Any, variants: list[ChoiceTerms], check: Check) -> dict[tuple[str, Keys], int]:
    """Unary choices."""
    model.variant = pyo.Var([v.name for v in variants], domain=pyo.Binary)
    labels: dict[tuple[str, Keys], int] = {}
    for family in ("out", "inp", "tile"):
        for v in variants:
            labels |= {(family, key): at for at, key in v.index[family].items()}
        check()
        index = [key for name, key in labels if name == family]
        setattr(model, family, pyo.Var(index, domain=pyo.Binary))
    model.one_variant = pyo.Constraint(expr=sum(model.variant.values()) == 1)
    for family in ("out", "inp", "tile"):
        _sums(model, f"one_{family}", getattr(model, family), model.variant, lambda key: key[0], check)
    return labels


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


def _buffer(
    model: Any, hardware: Hardware, given: Partition | None, variants: list[ChoiceTerms], spans: Spans
) -> None:
    """Every tensor's tile fits its part, and the parts fit the buffer; scaled to ``SPAN``, or in banks."""
    unit = hardware.bank_bits if hardware.bank_bytes else hardware.buffer_bits / SPAN
    size = hardware.buffer_bits // hardware.bank_bits if hardware.bank_bytes else SPAN
    index = [(v.name, tensor) for v in variants for tensor in TENSORS]
    needs = {(v.name, tensor): in_full(v.held(tensor), spans) for v in variants for tensor in TENSORS}
    if given is None:
        whole = pyo.NonNegativeIntegers if hardware.bank_bytes else pyo.NonNegativeReals
        model.part = pyo.Var(index, domain=whole, bounds=(0, size))

    def fits(m: Any, variant: str, tensor: str) -> Any:
        need = rounded_sum(m, needs[variant, tensor], unit / hardware.copies)
        if given is None:
            return need <= m.part[variant, tensor]
        return need <= getattr(given, tensor) / unit * m.variant[variant]

    def buffer(m: Any, variant: str) -> Any:
        return sum(m.part[variant, tensor] for tensor in TENSORS) <= size * m.variant[variant]

    model.fits = pyo.Constraint(index, rule=fits)
    if given is None:
        model.buffer = pyo.Constraint([v.name for v in variants], rule=buffer)


def _margin(model: Any, asked: Quantities, slack: Mapping[tuple[str, Keys], int]) -> float:
    """A mapping has at most one term of each of ten families in a row, each rounded by one grain.

    To this comes what factors are rounded by. Energy may have latency among its terms, and then all that is
    below in it, as often as it is in it.
    """
    largest, lost = 0.0, 0.0
    for name, (terms, _) in asked.rows.items():
        form = generate_standard_repn(getattr(model, name).body, compute_values=True)
        largest = max(largest, *(abs(c) for c in form.linear_coefs))
        each: dict[str, float] = {}
        for key, coefficient in terms.items():
            each[key[0]] = max(each.get(key[0], 0.0), coefficient * slack.get(key, 0))
        lost = max(lost, sum(each.values()) / asked.unit(name))
    families = max(len({family for family, _ in terms}) for terms, _ in asked.rows.values())
    terms_of_row = 10 if families <= 9 else 3 * families
    return float((terms_of_row * GRAIN * max(SPAN, largest) + lost) * (1 + asked.spent))


def _objective(model: Any, aim: ProgramAim, axes: Mapping[str, Scale]) -> Scale:
    """The weighted sum of the quantities above its floor, in units; one alone as it is."""
    weights = aim.weights._asdict()
    parts = [(weights[n], axes[n], getattr(model, n)) for n in ("traffic", "latency", "spent") if n in axes]
    lowest = sum(weight * scale.floor for weight, scale, _ in parts)
    unit = sum(weight * scale.unit for weight, scale, _ in parts)
    expr = sum(weight * scale.unit / unit * variable for weight, scale, variable in parts if weight)
    model.objective = pyo.Objective(expr=expr)
    return Scale(lowest, unit)
