"""The quantities of the mixed-integer program: variables, and what they are at least.

The equations are those of ``formulation.program.model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import pyomo.core as pyo

from formulation.hardware import Tick
from formulation.price import EDGE_TRANSFERS
from formulation.program.coefficients import Product, Terms, VariantTerms, merge
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
from formulation.space.space import Space


def add_axes(model: Any, space: Space, variants: list[VariantTerms], aim: ProgramAim) -> dict[str, Scale]:
    """Every quantity that is needed above its floor, in units; the axes by name."""
    spent = space.problem.hardware.quantum.tick if aim.needs("energy") else 0
    timed = bool(aim.needs("latency") or spent)
    sides = _sides(space, variants) if timed else {}
    moved, low_traffic = shifted(variants, [v.traffic for v in variants])
    floors: dict[str, list[int]] = {"latency": [low for _, low in sides.values()]} if timed else {}
    floors |= {"traffic": [low_traffic]} if aim.needs("traffic") else {}
    if aim.needs("energy"):
        energy, low = shifted(variants, [v.energy for v in variants])
        floors["energy"] = [low + spent * max(floors["latency"]) if spent else low]
    axes = scales(aim, floors, spent)
    caps = {name: scaled_cap(axis, getattr(aim.caps, name)) for name, axis in axes.items()}
    most = _burst_shares(model, variants) if space.problem.hardware.burst_bytes else {}
    if timed:
        _latency(model, space, variants, sides, axes["latency"], caps["latency"], most)
    if aim.needs("traffic"):
        _linear(model, "traffic", _in_units(moved, most), axes["traffic"], caps["traffic"])
    if aim.needs("energy"):
        per_time = spent * axes["latency"].unit / axes["energy"].unit if spent else 0.0
        _linear(model, "energy", _in_units(energy, most), axes["energy"], caps["energy"], per_time)
    return axes


Units = dict[str, dict[str, float]]
"""What one unit of a family's variables stands for, by variant."""


def _in_units(terms: Mapping[Any, float], most: Units) -> dict[Any, float]:
    """A function of variables of such units."""
    return {key: n * (most[key[0]][key[1][0]] if key[0] in most else 1) for key, n in terms.items()}


def _burst_shares(model: Any, variants: list[VariantTerms]) -> Units:
    """Those of what is moved in bursts."""
    return {
        "fetch": _shares(model, "fetch", {v.name: v.fetches for v in variants}),
        "spill": _shares(model, "spill", {v.name: v.spills for v in variants}),
    }


#: The row of each quantity that is a linear function of the choices.
_ROWS = {"traffic": "moves", "energy": "spends"}


def _linear(
    model: Any, name: str, terms: Mapping[Any, float], axis: Scale, cap: float | None, per_time: float = 0.0
) -> None:
    """A quantity is the sum of its terms, and so much per unit of latency."""
    variable = pyo.Var(bounds=(0, cap))
    setattr(model, name, variable)
    total = rounded_sum(model, terms, axis.unit, beyond(cap))
    total = total + per_time * model.latency if per_time else total
    setattr(model, _ROWS[name], pyo.Constraint(expr=total == variable))


def _sides(space: Space, variants: list[VariantTerms]) -> dict[str, tuple[Terms, int]]:
    """What latency is at least, each with its floor: the array's ticks, and those of all transfers."""
    hardware = space.problem.hardware
    tick = hardware.tick
    edge_setup = EDGE_TRANSFERS * hardware.transfer_setup * tick.per_cycle
    work = []
    for variant in variants:
        bits = variant.edge() if hardware.double_buffered else {}
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


def _transfers(variant: VariantTerms, tick: Tick) -> Terms:
    """Ticks of all transfers: their bits, and setting them up."""
    bits = {key: n * tick.per_bit for key, n in variant.traffic.items()}
    setup = {key: n * tick.per_cycle for key, n in variant.setup.terms.items()}
    return merge([bits, setup]) if setup else bits


def _latency(
    model: Any,
    space: Space,
    variants: list[VariantTerms],
    sides: dict[str, tuple[Terms, int]],
    axis: Scale,
    cap: float | None,
    known: Units,
) -> None:
    """Latency is at least each of the sides."""
    model.latency = pyo.Var(bounds=(0, cap))
    lowest = min(low for _, low in sides.values())
    ticks = beyond(cap) * axis.unit + axis.floor - lowest
    cycles = ticks / space.problem.hardware.tick.per_cycle
    most = known | {"share": _shares(model, "share", {v.name: v.compute for v in variants}, cycles)}
    if space.problem.hardware.transfer_setup:
        most["turn"] = _shares(model, "turn", {v.name: v.setup for v in variants}, cycles)
    for name, (terms, low) in sides.items():
        whole = _in_units(terms, most)
        start = axis.scaled(low)
        expr = rounded_sum(model, whole, axis.unit, beyond(cap) - start) + start <= model.latency
        setattr(model, name, pyo.Constraint(expr=expr))


def _shares(
    model: Any, family: str, products: Mapping[str, Product], beyond: float = inf
) -> dict[str, float]:
    """Disaggregated pairs; what one unit of a variant's variables stands for.

    Args:
        model: gets the variables, as ``family``.
        family: of ``SHARES``.
        products: by variant.
        beyond: cycles, or bits, above the floor that no mapping of interest takes; pairs are cut where, with
            any input-channel tile, they reach it.
    """
    parts = {name: part for name, part in products.items() if part.above}
    index = [key for part in parts.values() for of, key in part.terms if of == family]
    share = pyo.Var(index, bounds=(0, 1))
    setattr(model, family, share)
    setattr(model, f"{family}_of", pyo.Constraint(index, rule=lambda m, *key: share[key] <= m.inp[key]))
    most: dict[str, float] = {}
    for name, part in parts.items():
        least = min(n for (of, _), n in part.terms.items() if of == family)
        most[name] = min(max(part.above.values()), beyond / least)

    def adds_up(m: Any, name: str) -> Any:
        mine = [share[key] for key in index if key[0] == name]
        return pyo.quicksum(mine) == rounded_sum(m, parts[name].above, most[name], 1.0)

    setattr(model, f"{family}s", pyo.Constraint(list(parts), rule=adds_up))
    return most


def add_score_cap(model: Any, limit: ScoreCap, axes: Mapping[str, Scale]) -> None:
    """The weighted sum of the quantities is at most a cap."""
    parts = [(float(w), axes[n], getattr(model, n)) for n, w in limit.weights._asdict().items() if w]
    unit = sum(weight * scale.unit for weight, scale, _ in parts)
    cap = Scale(sum(weight * scale.floor for weight, scale, _ in parts), unit).scaled(limit.score)
    terms = [weight * scale.unit / unit * variable for weight, scale, variable in parts]
    model.score = pyo.Constraint(expr=sum(terms) <= max(0.0, cap) + ROUNDING)
