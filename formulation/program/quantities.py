"""The quantities of the mixed-integer program: variables, and what they are at least.

The equations are those of ``formulation.program.model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import pyomo.core as pyo

from formulation.hardware import Hardware, Tick
from formulation.pricing.price import EDGE_TRANSFERS
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
from formulation.program.terms import ChoiceTerms, Compute, Keys, Terms, merge

_ROWS = {"moves": "traffic", "transfers": "latency", "computes": "latency", "works": "latency"}
_ROWS |= {"spends": "spent"}


@dataclass(frozen=True, slots=True)
class Quantities:
    """What is modelled of latency, traffic and what is spent.

    Attributes:
        rows: by name, what a quantity is at least: terms above a floor, and the floor.
        axes: scale of each quantity's variable.
        caps: its greatest value on that scale; None for none.
        spent: per unit of latency, both on their scales; 0 if none.
        beyond: array cycles above the floor that no mapping of interest takes; 0 if latency is not asked for.
    """

    rows: Mapping[str, tuple[Terms, int]]
    axes: Mapping[str, Scale]
    caps: Mapping[str, float | None]
    spent: float
    beyond: float

    def most(self, row: str) -> float:
        """What a row may be above its floor, in its own unit, before it is of no interest."""
        axis, cap = self.axes[_ROWS[row]], self.caps[_ROWS[row]]
        return (beyond(cap) - axis.scaled(self.rows[row][1])) * axis.unit

    def unit(self, row: str) -> float:
        """What a row is measured in."""
        return self.axes[_ROWS[row]].unit

    def limits(self, variants: list[ChoiceTerms]) -> list[tuple[Terms, float]]:
        """Every row with what it may be at most, those of shared cycles included."""
        shares = [
            (part.above, share_unit(part, part_beyond(part, self.beyond)))
            for v in variants
            for part in asked_shares(v, self.beyond)
        ]
        return [(terms, self.most(name)) for name, (terms, _) in self.rows.items()] + shares


def quantities(hardware: Hardware, variants: list[ChoiceTerms], aim: ProgramAim) -> Quantities:
    """Every quantity that is needed above its floor, in units."""
    rates = variants[0].rates if variants and aim.needs("spent") else None
    spent = 0 if rates is None else rates.tick
    timed = bool(aim.needs("latency") or spent)
    rows = _sides(hardware, variants) if timed else {}
    floors: dict[str, list[int]] = {"latency": [low for _, low in rows.values()]} if timed else {}
    if aim.needs("traffic"):
        rows["moves"] = shifted(variants, [v.traffic for v in variants])
        floors["traffic"] = [rows["moves"][1]]
    if rates is not None:
        sums, low = shifted(variants, [v.spent for v in variants])
        floors["spent"] = [low + spent * max(floors["latency"]) if spent else low]
        rows["spends"] = sums, floors["spent"][0]
    axes = scales(aim, floors, spent)
    caps = {name: scaled_cap(axis, getattr(aim.caps, name)) for name, axis in axes.items()}
    per_time = spent * axes["latency"].unit / axes["spent"].unit if spent else 0.0
    cycles = 0.0
    if timed:
        lowest = min(low for name, (_, low) in rows.items() if _ROWS[name] == "latency")
        ticks = beyond(caps["latency"]) * axes["latency"].unit + axes["latency"].floor - lowest
        cycles = ticks / hardware.tick.per_cycle
    return Quantities(rows, axes, caps, per_time, cycles)


def add_quantities(model: Any, variants: list[ChoiceTerms], asked: Quantities, spans: Spans) -> None:
    """Variables, and rows that hold them at what they are at least."""
    for name, cap in asked.caps.items():
        setattr(model, name, pyo.Var(bounds=(0, cap)))
    most = _shares(model, variants, asked.beyond, spans)
    for name, (terms, low) in asked.rows.items():
        quantity = _ROWS[name]
        axis, variable = asked.axes[quantity], getattr(model, quantity)
        whole = {key: n * most.get((key[0], key[1][0]), 1) for key, n in terms.items()}
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


def _sides(hardware: Hardware, variants: list[ChoiceTerms]) -> dict[str, tuple[Terms, int]]:
    """What latency is at least, each with its floor: the array's ticks, and those of all transfers."""
    tick = hardware.tick
    work = []
    edge_setup = EDGE_TRANSFERS * hardware.transfer_cycles * tick.per_cycle
    for variant in variants:
        edge = [variant.window.terms, variant.pixels.terms, variant.beside.terms]
        bits = merge(edge) if hardware.double_buffered else {}
        ticks = {key: n * tick.per_bit for key, n in bits.items()}
        if hardware.double_buffered and edge_setup:
            ticks["variant", (variant.name,)] = edge_setup
        work.append(merge([{key: n * tick.per_cycle for key, n in variant.compute.terms.items()}, ticks]))
    moved = [_transfers(variant, tick) for variant in variants]
    if hardware.double_buffered:
        sides = {"computes": work, "transfers": moved}
    else:
        sides = {"works": [merge(pair) for pair in zip(work, moved, strict=True)]}
    return {name: shifted(variants, terms) for name, terms in sides.items()}


def _transfers(variant: ChoiceTerms, tick: Tick) -> Terms:
    """Ticks of all transfers: their bits, and setting them up."""
    bits = {key: n * tick.per_bit for key, n in variant.traffic.items()}
    setup = {key: n * tick.per_cycle for key, n in variant.set_ups.items()}
    return merge([bits, setup]) if setup else bits


def asked_shares(variant: ChoiceTerms, beyond: float) -> list[Compute]:
    """What is shared out to the input channels, but for cycles where latency is not asked for."""
    parts = [variant.compute, *variant.shares] if beyond else list(variant.shares)
    return [part for part in parts if part.above and (beyond or part.family not in _CYCLES)]


_CYCLES = ("share", "turn")


def part_beyond(part: Compute, beyond: float) -> float:
    """The cycles that no mapping of interest takes; of bits nothing is known."""
    return beyond if part.family in _CYCLES else inf


def share_unit(part: Compute, beyond: float) -> float:
    """What one unit of a variant's variables stands for.

    Args:
        part: disaggregates its pairs.
        beyond: array cycles above the floor that no mapping of interest takes; pairs are cut where, with
            any input-channel tile, they reach it.
    """
    least = min(n for (family, _), n in part.terms.items() if family == part.family)
    return min(part.most, beyond / least)


def _shares(
    model: Any, variants: list[ChoiceTerms], beyond: float, spans: Spans
) -> dict[tuple[str, str], float]:
    """Disaggregated pairs; what one unit of a variant's variables stands for, by family and variant."""
    every = {(part.family, v.name): part for v in variants for part in asked_shares(v, beyond)}
    most = {key: share_unit(part, part_beyond(part, beyond)) for key, part in every.items()}
    for family in dict.fromkeys(
        ["share", *(family for family, _ in every)] if beyond else (f for f, _ in every)
    ):
        parts = {name: part for (of, name), part in every.items() if of == family}
        _add_shares(model, family, parts, {name: most[family, name] for name in parts}, spans)
    return most


def _add_shares(
    model: Any, family: str, parts: Mapping[str, Compute], most: Mapping[str, float], spans: Spans
) -> None:
    """Variables of a family, each at most its input-channel tile, that add up to the pair."""
    index = [key for part in parts.values() for of, key in part.terms if of == family]
    share = pyo.Var(index, bounds=(0, 1))
    setattr(model, family, share)
    setattr(model, f"{family}_of", pyo.Constraint(index, rule=lambda m, *key: share[key] <= m.inp[key]))

    def adds_up(m: Any, name: str) -> Any:
        mine = [share[key] for key in index if key[0] == name]
        return pyo.quicksum(mine) == rounded_sum(m, in_full(parts[name].above, spans), most[name], 1.0)

    setattr(model, f"{family}s", pyo.Constraint(list(parts), rule=adds_up))


def add_score_cap(model: Any, limit: ScoreCap, axes: Mapping[str, Scale]) -> None:
    """The weighted sum of the quantities is at most a cap."""
    parts = [(float(w), axes[n], getattr(model, n)) for n, w in limit.weights._asdict().items() if w]
    unit = sum(weight * scale.unit for weight, scale, _ in parts)
    cap = Scale(sum(weight * scale.floor for weight, scale, _ in parts), unit).scaled(limit.score)
    terms = [weight * scale.unit / unit * variable for weight, scale, variable in parts]
    model.score = pyo.Constraint(expr=sum(terms) <= max(0.0, cap) + ROUNDING)
