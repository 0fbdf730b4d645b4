"""The packing of filters into R rounds as a mixed-integer linear program, with a choice of tiles beside it.

Candidates c are choices of tile and input-channel tile of equal traffic, whose sub-kernels' pixels have the
same ratios; J sub-kernels, R rounds. ``x`` filters and ``y`` passes are integers, ``z`` binaries:

    sum_c z[c] = 1
    sum_r x[j,r] = Co,   x[j,r] <= limit * y[j,r],   sum_j x[j,r] >= 1
    sum_j taps_j * x[j,r] <= P,   sum_j pixels_j * x[j,r] <= Q
    sum_j taps_j * x[j,r] >= sum_j taps_j * x[j,r+1]                  (rounds are interchangeable)

Products with the choice by disaggregation, in hull form (``P_c <= most P of c * z[c]``, no loose big-M):

    P = sum_c P_c,   Q = sum_c Q_c,   sum over alike j and r of y[j,r] = sum_c Y[k,c]    (kinds k)
    copies * (ifmap_c * z[c] + Q_c * ofmap_c + P_c * weight_c) <= buffer * z[c]          (or whole banks,
                                                                                          or each part)
    latency >= sum_c fixed_c * z[c] + sum_k pass_cost[k,c] * Y[k,c] + alpha_c * P_c + beta_c * Q_c
    latency >= sum_c bound_c * z[c]

``bound_c`` is the proven bound of ``formulation.shared.packing_bounds``, at least the time of the transfers.
Latency is measured from the least bound in shares of a pass; capacity in buffers. Where energy is asked for
(``Spending``), the latency is minimised up to the least of

    sum_c base_c * z[c] + sum_j port_j * sum_r y[j,r] + rate * latency
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.core as pyo

from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.shared.packing.rounds import Packing
from formulation.shared.packing.search import PackingProblem

#: Relative; what is taken off a proven bound on what is spent, for the solver's rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class PackingChoice:
    """One candidate of the model.

    Attributes:
        packing: what is packed at what price [ticks].
        most: P and Q (in its unit) that might fit.
        bound: proven on its array time, at least the transfers' [ticks].
    """

    packing: PackingProblem
    most: tuple[int, int]
    bound: int


@dataclass(frozen=True, slots=True)
class Spending:
    """A sum of latency and energy, times what makes it whole numbers.

    Attributes:
        base: per candidate, what is spent whatever the packing, with no pass.
        ports: per sub-kernel, of a pass.
        rate: of a tick of latency.
        bound: per candidate, proven on what is spent.
        most: what may be spent at most, latency being minimised; None if the sum is.
    """

    base: tuple[int, ...]
    ports: tuple[int, ...]
    rate: int
    bound: tuple[int, ...]
    most: int | None = None


@dataclass(frozen=True, slots=True)
class PackingMilp:
    """A model with what is needed to read it.

    Attributes:
        model: the Pyomo model; its objective is latency, or what is spent, in ``unit`` above ``floor``.
        floor: see there.
        unit: see there.
    """

    model: Any
    floor: int
    unit: int

    def told(self, value: float) -> float:
        """The objective's value in ticks, or as what is spent."""
        return self.floor + self.unit * value

    def solution(self) -> tuple[int, Ints]:
        """The candidate chosen, and the filters (sub-kernels by rounds)."""
        m = self.model
        chosen = max(m.C, key=lambda c: m.z[c].value)
        return chosen, np.array([[round(m.x[j, r].value) for r in m.R] for j in m.J])

    def start(self, chosen: int, packing: Packing) -> list[tuple[Any, float]]:
        """Values of the integers for a known packing, as a start."""
        m, x = self.model, np.array(packing.rounds)
        load = np.array([m.taps[j] for j in m.J]) @ x
        x = x[:, np.argsort(-load, kind="stable")]
        values: list[tuple[Any, float]] = [(m.z[c], float(c == chosen)) for c in m.C]
        for j in m.J:
            for r in m.R:
                values.append((m.x[j, r], float(x[j, r])))
                values.append((m.y[j, r], float(-(-x[j, r] // m.limit))))
        return values


def build_packing_milp(
    choices: Sequence[PackingChoice],
    count: int,
    hardware: Hardware,
    partition: Partition | None,
    spending: Spending | None = None,
) -> PackingMilp:
    """The model of candidates that share their items, for a number of rounds; see the module's equations."""
    items = choices[0].packing.items
    m: Any = pyo.ConcreteModel("packing")
    m.C, m.J, m.R = range(len(choices)), range(len(items.taps)), range(count)
    m.taps, m.limit, m.filters = dict(enumerate(items.taps)), items.limit, items.filters
    floor = min(c.bound for c in choices)
    unit = max(1, *(max(c.packing.pass_cost) for c in choices))
    m.z = pyo.Var(m.C, domain=pyo.Binary)
    m.x = pyo.Var(m.J, m.R, domain=pyo.NonNegativeIntegers, bounds=(0, items.filters))
    m.y = pyo.Var(m.J, m.R, domain=pyo.NonNegativeIntegers, bounds=(0, -(-items.filters // items.limit)))
    m.latency = pyo.Var(bounds=(0, None))
    _packing(m, items.filters, items.pixels)
    _choice(m, choices, count)
    _capacity(m, choices, hardware, partition)
    _latency(m, choices, floor, unit)
    if spending is not None:
        return _spent(m, spending, floor, unit)
    m.objective = pyo.Objective(expr=m.latency)
    return PackingMilp(m, floor, unit)


def _packing(m: Any, filters: int, pixels: Sequence[int]) -> None:
    """Every filter in some round, no round empty, rounds in descending order of their weights."""

    def load(words: Any, r: int) -> Any:
        return sum(words[j] * m.x[j, r] for j in m.J)

    m.P, m.Q = pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    m.every = pyo.Constraint(m.J, rule=lambda _, j: sum(m.x[j, r] for r in m.R) == filters)
    m.held = pyo.Constraint(m.J, m.R, rule=lambda _, j, r: m.x[j, r] <= m.limit * m.y[j, r])
    m.used = pyo.Constraint(m.R, rule=lambda _, r: sum(m.x[j, r] for j in m.J) >= 1)
    m.weights = pyo.Constraint(m.R, rule=lambda _, r: load(m.taps, r) <= m.P)
    m.ofmap = pyo.Constraint(m.R, rule=lambda _, r: load(pixels, r) <= m.Q)
    m.order = pyo.Constraint(list(m.R)[:-1], rule=lambda _, r: load(m.taps, r) >= load(m.taps, r + 1))


def _choice(m: Any, choices: Sequence[PackingChoice], count: int) -> None:
    """One candidate; P, Q and the passes disaggregated over the candidates."""
    cost = choices[0].packing.pass_cost
    alike: dict[tuple[int, ...], list[int]] = {}
    for j in range(len(cost)):
        alike.setdefault(tuple(c.packing.pass_cost[j] for c in choices), []).append(j)
    m.alike = list(alike.values())
    m.K = range(len(m.alike))
    m.Pc, m.Qc = pyo.Var(m.C, bounds=(0, None)), pyo.Var(m.C, bounds=(0, None))
    m.Yc = pyo.Var(m.K, m.C, bounds=(0, None))
    items = choices[0].packing.items
    least = -(-items.filters // items.limit)
    passes = least + count  # a sub-kernel never needs more: one unfinished pass in each round
    m.one = pyo.Constraint(expr=sum(m.z[c] for c in m.C) == 1)
    m.sum_p = pyo.Constraint(expr=sum(m.Pc[c] for c in m.C) == m.P)
    m.sum_q = pyo.Constraint(expr=sum(m.Qc[c] for c in m.C) == m.Q)
    m.hull_p = pyo.Constraint(m.C, rule=lambda _, c: m.Pc[c] <= choices[c].most[0] * m.z[c])
    m.hull_q = pyo.Constraint(m.C, rule=lambda _, c: m.Qc[c] <= choices[c].most[1] * m.z[c])
    m.sum_y = pyo.Constraint(
        m.K,
        rule=lambda _, k: sum(m.y[j, r] for j in m.alike[k] for r in m.R) == sum(m.Yc[k, c] for c in m.C),
    )
    m.hull_y = pyo.Constraint(m.K, m.C, rule=lambda _, k, c: m.Yc[k, c] <= passes * len(m.alike[k]) * m.z[c])
    m.least_y = pyo.Constraint(m.K, m.C, rule=lambda _, k, c: m.Yc[k, c] >= least * len(m.alike[k]) * m.z[c])


def _capacity(
    m: Any, choices: Sequence[PackingChoice], hardware: Hardware, partition: Partition | None
) -> None:
    """Footprints of a candidate within the buffer, in whole banks if there are any, or within given parts."""
    bank, copies = hardware.bank_bits, hardware.copies
    if partition is not None:
        parts = ((m.Pc, "weights"), (m.Qc, "ofmap"))
        m.parts = pyo.ConstraintList()
        for words, tensor in parts:
            whole = getattr(partition, tensor) // bank * bank
            for c in m.C:
                size = copies * getattr(choices[c].packing.held, tensor)
                m.parts.add(size / max(whole, 1) * words[c] <= m.z[c])
        return
    if bank == 1:
        whole = hardware.buffer_bits

        def rule(_: Any, c: int) -> Any:
            held = choices[c].packing.held
            used = held.ifmap * m.z[c] + held.ofmap * m.Qc[c] + held.weights * m.Pc[c]
            return copies / whole * used <= m.z[c]

        m.buffer = pyo.Constraint(m.C, rule=rule)
        return
    banks = hardware.buffer_bits // bank
    m.bank_p = pyo.Var(m.C, domain=pyo.NonNegativeIntegers, bounds=(0, banks))
    m.bank_q = pyo.Var(m.C, domain=pyo.NonNegativeIntegers, bounds=(0, banks))
    m.banks = pyo.ConstraintList()
    for c in m.C:
        held = choices[c].packing.held
        m.banks.add(copies * held.weights / bank * m.Pc[c] <= m.bank_p[c])
        m.banks.add(copies * held.ofmap / bank * m.Qc[c] <= m.bank_q[c])
        m.banks.add(-(-copies * held.ifmap // bank) * m.z[c] + m.bank_p[c] + m.bank_q[c] <= banks * m.z[c])


def _latency(m: Any, choices: Sequence[PackingChoice], floor: int, unit: int) -> None:
    """The array's time with the edge, and the proven bound, above the floor."""
    terms: list[Any] = []
    for c in m.C:
        problem = choices[c].packing
        terms.append((problem.fixed - floor) / unit * m.z[c])
        terms += [problem.pass_cost[m.alike[k][0]] / unit * m.Yc[k, c] for k in m.K]
        terms += [problem.alpha / unit * m.Pc[c], problem.beta / unit * m.Qc[c]]
    m.array = pyo.Constraint(expr=m.latency >= sum(terms))
    m.proven = pyo.Constraint(expr=m.latency >= sum((choices[c].bound - floor) / unit * m.z[c] for c in m.C))


def _spent(m: Any, spending: Spending, floor: int, unit: int) -> PackingMilp:
    """What is spent minimised, or latency up to a most of it; each above the least there may be."""
    least = min(spending.base) + spending.rate * floor
    passes = -(-m.filters // m.limit)
    least += passes * sum(spending.ports)
    scale = max(1, *spending.ports, spending.rate * unit)
    spent = sum((base - min(spending.base)) / scale * m.z[c] for c, base in enumerate(spending.base))
    for j, port in enumerate(spending.ports):
        spent = spent + port / scale * (sum(m.y[j, r] for r in m.R) - passes)
    spent = spent + spending.rate * unit / scale * m.latency
    proven = sum((bound - least) / scale * m.z[c] for c, bound in enumerate(spending.bound))
    m.thrift = pyo.Constraint(expr=spent >= proven * (1 - ROUNDING))
    if spending.most is None:
        m.objective = pyo.Objective(expr=spent)
        return PackingMilp(m, least, scale)
    m.spends = pyo.Constraint(expr=spent <= (spending.most - least) / scale)
    m.objective = pyo.Objective(expr=m.latency)
    return PackingMilp(m, floor, unit)
