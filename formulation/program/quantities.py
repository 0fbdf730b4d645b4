"""The quantities of the mixed-integer program: variables, and what they are at least.

The equations are those of ``formulation.program.model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyomo.core as pyo

from formulation.hardware import Tick
from formulation.price import EDGE_TRANSFERS
from formulation.program.coefficients import VariantTerms
from formulation.program.products import Spans
from formulation.program.scaling import (
    ROUNDING,
    ProgramAim,
    Scale,
    ScoreCap,
    beyond,
    rounded_sum,
    scaled_cap,
    scales,
    shifted,
)
from formulation.program.terms import SHARES, Disaggregated, Keys, Terms, merge
from formulation.space.space import Space

_ROWS = {"moves": "traffic", "transfers": "latency", "computes": "latency", "works": "latency"}
_ROWS |= {"spends": "energy"}


@dataclass(frozen=True, slots=True)
class Quantities:
    """What is modelled of latency, traffic and energy.

    Attributes:
        rows: by name, what a quantity is at least: terms above a floor, and the floor.
        axes: scale of each quantity's variable.
        caps: its greatest value on that scale; None for none.
        spent: energy per unit of latency, both on their scales; 0 if none.
        beyond: cycles above the floor that no mapping of interest takes; 0 if latency is not asked for.
        shares: by family and variant, what is disaggregated over the input channels.
    """

    rows: Mapping[str, tuple[Terms, int]]
    axes: Mapping[str, Scale]
    caps: Mapping[str, float | None]
    spent: float
    beyond: float
    shares: Mapping[str, Mapping[str, Disaggregated]]

    def most(self, row: str) -> float:
        """What a row may be above its floor, in its own unit, before it is of no interest."""
        axis, cap = self.axes[_ROWS[row]], self.caps[_ROWS[row]]
        return (beyond(cap) - axis.scaled(self.rows[row][1])) * axis.unit

    def unit(self, row: str) -> float:
        """What a row is measured in."""
        return self.axes[_ROWS[row]].unit

    def limits(self) -> list[tuple[Terms, float]]:
        """Every row with what it may be at most, those of shares included."""
        shares = [
            (part.above, self.share(family, part))
            for family, parts in self.shares.items()
            for part in parts.values()
        ]
        return [(terms, self.most(name)) for name, (terms, _) in self.rows.items()] + shares

    def share(self, family: str, part: Disaggregated) -> float:
        """What one unit of a family's variables stands for.

        All that there is; of cycles no more than is of interest beside any input-channel tile.
        """
        if family not in ("share", "turn"):
            return part.most
        least = min(n for (name, _), n in part.terms.items() if name == family)
        return min(part.most, self.beyond / least)


def quantities(space: Space, variants: list[VariantTerms], aim: ProgramAim) -> Quantities:
    """Every quantity that is needed above its floor, in units."""
    spent = space.problem.hardware.quantum.tick if aim.needs("energy") else 0
    timed = bool(aim.needs("latency") or spent)
    rows = _sides(space, variants) if timed else {}
    floors: dict[str, list[int]] = {"latency": [low for _, low in rows.values()]} if timed else {}
    if aim.needs("traffic"):
        rows["moves"] = shifted(variants, [v.traffic for v in variants])
        floors["traffic"] = [rows["moves"][1]]
    if aim.needs("energy"):
        energy, low = shifted(variants, [v.energy for v in variants])
        floors["energy"] = [low + spent * max(floors["latency"]) if spent else low]
        rows["spends"] = energy, floors["energy"][0]
    axes = scales(aim, floors, spent)
    caps = {name: scaled_cap(axis, getattr(aim.caps, name)) for name, axis in axes.items()}
    per_time = spent * axes["latency"].unit / axes["energy"].unit if spent else 0.0
    cycles = 0.0
    if timed:
        lowest = min(low for name, (_, low) in rows.items() if _ROWS[name] == "latency")
        ticks = beyond(caps["latency"]) * axes["latency"].unit + axes["latency"].floor - lowest
        cycles = ticks / space.problem.hardware.tick.per_cycle
    return Quantities(rows, axes, caps, per_time, cycles, _shared(variants, rows))


def _shared(
    variants: list[VariantTerms], rows: Mapping[str, tuple[Terms, int]]
) -> dict[str, dict[str, Disaggregated]]:
    """What the rows have of each family of shares."""
    asked = {family for terms, _ in rows.values() for family, _ in terms}
    parts = {
        family: {v.name: part for v in variants if (part := v.disaggregated[family]).above}
        for family in SHARES
        if family in asked
    }
    return {family: found for family, found in parts.items() if found}


def add_quantities(model: Any, variants: list[VariantTerms], asked: Quantities, spans: Spans) -> None:
    """Variables, and rows that hold them at what they are at least."""
    for name, cap in asked.caps.items():
        setattr(model, name, pyo.Var(bounds=(0, cap)))
    most = {family: _shares(model, family, asked, spans) for family in asked.shares}
    for name, (terms, low) in asked.rows.items():
        quantity = _ROWS[name]
        axis, variable = asked.axes[quantity], getattr(model, quantity)
        whole = {key: n * most[key[0]][key[1][0]] if key[0] in most else n for key, n in terms.items()}
        start = axis.scaled(low)
        cut = beyond(asked.caps[quantity]) - start
        total = rounded_sum(model, in_full(whole, spans), axis.unit, cut) + start
        if quantity == "latency":
            expr = total <= variable
        else:
            time = asked.spent * model.latency if name == "spends" and asked.spent else 0
            expr = total + time == variable
        setattr(model, name, pyo.Constraint(expr=expr))


def in_full(terms: Mapping[tuple[str, Keys], float], spans: Spans) -> dict[tuple[str, Keys], float]:
    """A function whose variables of products run from 0 to 1."""
    return {key: n * spans[key] if key in spans else n for key, n in terms.items()}


def _sides(space: Space, variants: list[VariantTerms]) -> dict[str, tuple[Terms, int]]:
    """What latency is at least, each with its floor: the array's ticks, and those of all transfers."""
    hardware = space.problem.hardware
    tick = hardware.tick
    started = EDGE_TRANSFERS * hardware.transfer_setup * tick.per_cycle
    work = []
    for variant in variants:
        edge = [variant.window.terms, variant.pixels.terms, variant.beside.terms]
        bits = merge(edge) if hardware.double_buffered else {}
        ticks = {key: n * tick.per_bit for key, n in bits.items()}
        if hardware.double_buffered and started:
            ticks["variant", (variant.name,)] = started
        work.append(merge([{key: n * tick.per_cycle for key, n in variant.compute.terms.items()}, ticks]))
    moved = [_transfers(variant, tick) for variant in variants]
    if hardware.double_buffered:
        sides = {"computes": work, "transfers": moved}
    else:
        sides = {"works": [merge(pair) for pair in zip(work, moved, strict=True)]}
    return {name: shifted(variants, terms) for name, terms in sides.items()}


def _transfers(variant: VariantTerms, tick: Tick) -> Terms:
    """Ticks of all transfers: their bits, and setting them up."""
    bits = {key: n * tick.per_bit for key, n in variant.traffic.items()}
    return merge([bits, {key: n * tick.per_cycle for key, n in variant.setup.terms.items()}])


def _shares(model: Any, family: str, asked: Quantities, spans: Spans) -> dict[str, float]:
    """Variables and rows of a family of shares; what one unit of a variant's stands for."""
    parts = asked.shares[family]
    most = {name: asked.share(family, part) for name, part in parts.items()}
    index = [key for part in parts.values() for name, key in part.terms if name == family]
    share = pyo.Var(index, bounds=(0, 1))
    setattr(model, family, share)
    setattr(model, f"{family}_of", pyo.Constraint(index, rule=lambda m, *key: share[key] <= m.inp[key]))

    def adds_up(m: Any, name: str) -> Any:
        mine = [share[key] for key in index if key[0] == name]
        return pyo.quicksum(mine) == rounded_sum(m, in_full(parts[name].above, spans), most[name], 1.0)

    setattr(model, f"{family}_sum", pyo.Constraint(list(parts), rule=adds_up))
    return most


def add_score_cap(model: Any, limit: ScoreCap, axes: Mapping[str, Scale]) -> None:
    """The weighted sum of the quantities is at most a cap."""
    parts = [(float(w), axes[n], getattr(model, n)) for n, w in limit.weights._asdict().items() if w]
    unit = sum(weight * scale.unit for weight, scale, _ in parts)
    cap = Scale(sum(weight * scale.floor for weight, scale, _ in parts), unit).scaled(limit.score)
    terms = [weight * scale.unit / unit * variable for weight, scale, variable in parts]
    model.score = pyo.Constraint(expr=sum(terms) <= max(0.0, cap) + ROUNDING)
