"""The exact problem as a mixed-integer linear program in Pyomo.

Sets. A *variant* v is a loop order together with whether all input channels are one tile; in each the widths
of partial sums and the sliding ifmap are settled. A, B, K are its candidate tiles of output channels (a),
input channels (b), and batch and spatial axes (k).

Choice (``variant``, ``out``, ``inp``, ``tile`` are binary):

    sum_v variant[v] = 1,   sum_a out[v,a] = sum_b inp[v,b] = sum_k tile[v,k] = variant[v]

Products of two choices by disaggregation, in hull form (each is the convex hull of the products, so no
big-M is needed), ``>= 0``:

    sum_k ok[v,a,k] = out[v,a],   sum_a ok[v,a,k] = tile[v,k]        and likewise ik (b, k), oi (a, b)

Buffer, in whole banks if there are any; the parts are given, or variables:

    sum ik * ifmap_need(b,k) <= part[I]
    sum ok * ofmap_need(a,k) <= part[O]
    sum oi * weight_need(a,b) <= part[W],    part[I] + part[O] + part[W] <= buffer

Traffic, with n the trips (1 for the group that the loop order has innermost):

    traffic = sum ok * (n_a * ifmap(k) + n_k * weights) + sum inp * (n_b writes, n_b - 1 reads of the ofmap)

Compute is the product of three cycle factors. That of the pair (a, k) is known; if the input channels' differ
between candidates, it is disaggregated over them, between its least and its greatest value:

    z(a,k) = f_a * f_k;  share[v,b] >= 0;  share[v,b] <= (max z - min z) * inp[v,b]
    sum_b share[v,b] = sum ok * (z(a,k) - min z)
    compute = groups * sum_b f_b * (min z * inp[v,b] + share[v,b])

Latency, with the edge the largest tile of each tensor once:

    latency >= compute + edge,  latency >= transfer      (double-buffered)
    latency  = compute + transfer                        (otherwise)

Scaling. Within a variant each family of choices sums to ``variant[v]``; so the least coefficient of a family
is taken out of it and given to the variant, and the least over variants to a constant. Latency and traffic
then start near zero, and are measured in units such that the incumbent is at ``SPAN``. Coefficients that
are beyond any use are cut, and all are rounded down to a millionth of the largest in their row, so that they
span six orders of magnitude: the program bounds the exact one from below, by at most ``Milp.margin``, and
what it allows in excess is checked exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.repn.standard_repn import generate_standard_repn

from formulation.candidates import Candidates
from formulation.cost import Traffic, Trips, footprint, ifmap_pass_words, passes, tile_bits
from formulation.mapping import Group, Stationary
from formulation.space import CLASSES, Space

#: Where the incumbent lies on the scaled axes of latency and traffic.
SPAN = 1000.0
TENSORS = ("ifmap", "ofmap", "weights")

#: Least span of an axis, relative to the incumbent: finer would show nothing but rounding.
FINEST = 1e-5
#: A value on the scaled axes, or multiple of a cap, that no mapping of interest reaches.
BEYOND = 10.0
#: Coefficients are rounded down to multiples of this fraction of the largest in their row.
GRAIN = 1e-6
#: Room for the solver's rounding on the scaled axes.
ROUNDING = 1e-6
_WHOLE = "_whole"

Keys = tuple[Any, ...]
Terms = dict[tuple[str, Keys], int]
"""A linear function: coefficients by (family of variables, index)."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a model minimises, and under which caps.

    Attributes:
        latency: weight of latency, per tick.
        traffic: weight of traffic, per bit.
        latency_cap: greatest latency [ticks]; None for none.
        traffic_cap: greatest traffic [bits]; None for none.
        incumbent: latency [ticks] and traffic [bits] of a known mapping; they set the scale.
    """

    latency: float
    traffic: float
    incumbent: tuple[int, int]
    latency_cap: int | None = None
    traffic_cap: int | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis of the model: ``value = floor + unit * scaled``."""

    floor: float
    unit: float

    def value(self, scaled: float) -> float:
        """A scaled value in the axis' own unit."""
        return self.floor + self.unit * scaled

    def scaled(self, value: float) -> float:
        """A value on the scaled axis."""
        return (value - self.floor) / self.unit


@dataclass(frozen=True, slots=True)
class Milp:
    """A model with what is needed to read its solution.

    Attributes:
        model: the Pyomo model.
        objective: scale of its objective.
        margin: by how much the scaled objective may be below the exact one, rounding in all.
        labels: position in its table of each tile's binary, by (family, index).
    """

    model: Any
    objective: Scale
    margin: float
    labels: Mapping[tuple[str, Keys], int]

    def choice(self) -> tuple[Stationary, int, int, int]:
        """Loop order, and positions of the tiles, in the model's solution."""
        name = next(name for name, v in self.model.variant.items() if v.value > 0.5)
        picked = []
        for family in ("out", "inp", "tile"):
            binaries = getattr(self.model, family)
            picked += [self.labels[family, k] for k, v in binaries.items() if k[0] == name and v.value > 0.5]
        out, inp, tile = picked
        return Stationary(name.removesuffix(_WHOLE)), out, inp, tile

    def binaries(
        self, stationary: Stationary, whole: bool, co: int, ci: int, row: int
    ) -> list[tuple[Any, int]]:
        """Values of all binaries for a mapping of the model: a start for the solver."""
        name = _name(stationary, whole)
        values = [(v, int(key == name)) for key, v in self.model.variant.items()]
        for family, position in (("out", co), ("inp", ci), ("tile", row)):
            for key, v in getattr(self.model, family).items():
                values.append((v, int(key[0] == name and self.labels[family, key] == position)))
        return values

    def forbid(self, stationary: Stationary, whole: bool, co: int, ci: int, row: int) -> None:
        """Cut one mapping off."""
        if not hasattr(self.model, "forbidden"):
            self.model.forbidden = pyo.ConstraintList()
        chosen = [v for v, one in self.binaries(stationary, whole, co, ci, row) if one]
        self.model.forbidden.add(sum(chosen) <= len(chosen) - 1)


class _Variant:
    """Coefficients of one variant, by family and index."""

    def __init__(self, space: Space, found: Candidates, which: int, whole: bool, names: list[str]) -> None:
        self.space, self.stationary = space, CLASSES[which]
        self.name = _name(self.stationary, whole)
        self.tiles, self.cycles, self.names, self.whole = found.tiles, found.cycles, names, whole
        self.ok = _unique(found.co, found.row)
        self.ik = _unique(found.ci, found.row)
        self.oi = _unique(found.co, found.ci)
        self.co, self.ci, self.rows = (np.unique(column) for column in (found.co, found.ci, found.row))

    def out(self, a: int) -> str:
        return f"co{self.space.co.tile[a]}"

    def inp(self, b: int) -> str:
        return f"ci{self.space.ci.tile[b]}"

    def index(self, family: str, first: int, second: int | None = None) -> Keys:
        """The labels under which a variable is known."""
        label = {"out": self.out, "inp": self.inp, "tile": self.names.__getitem__}
        if second is None:
            return self.name, label[family](first)
        one, two = {"ok": ("out", "tile"), "ik": ("inp", "tile"), "oi": ("out", "inp")}[family]
        return self.name, label[one](first), label[two](second)

    def terms(self, family: str, pairs: Any, values: Any) -> Terms:
        if family in ("out", "inp", "tile"):
            return {(family, self.index(family, i)): int(v) for i, v in zip(pairs, values, strict=True)}
        places = zip(*pairs, values, strict=True)
        return {(family, self.index(family, i, j)): int(v) for i, j, v in places}

    def needs(self) -> dict[str, Terms]:
        """Buffer that each tensor's tile takes [banks, or bits]."""
        hardware = self.space.problem.hardware
        need, _ = self._held()
        bank = hardware.bank_bits
        return {name: {key: value // bank for key, value in terms.items()} for name, terms in need.items()}

    def edge(self) -> Terms:
        """Bits of the largest tiles."""
        _, held = self._held()
        return {key: value for terms in held.values() for key, value in terms.items()}

    def _held(self) -> tuple[dict[str, Terms], dict[str, Terms]]:
        """Footprints and bits of the tiles, by tensor."""
        layer, hardware = self.space.problem.layer, self.space.problem.hardware
        trips_ci = 1 if self.whole else 2
        need: dict[str, Terms] = {}
        held: dict[str, Terms] = {}
        for tensor, family, pairs in zip(
            TENSORS, ("ik", "ok", "oi"), (self.ik, self.ok, self.oi), strict=True
        ):
            co, ci, row = self._places(family, pairs)
            tiles = self.tiles.take(row)
            bits = tile_bits(
                layer,
                hardware,
                self.space.co.tile[co],
                self.space.ci.tile[ci],
                tiles.largest,
                tiles.pixels,
                trips_ci,
            )
            held[tensor] = self.terms(family, pairs, getattr(bits, tensor))
            need[tensor] = self.terms(family, pairs, getattr(footprint(hardware, bits), tensor))
        return need, held

    @staticmethod
    def _places(family: str, pairs: Any) -> tuple[Any, Any, Any]:
        """Positions of output channels, input channels and tiles behind pairs; 0 where a pair has none."""
        first, second = pairs
        none = np.zeros_like(first)
        return {"ok": (first, none, second), "ik": (none, first, second), "oi": (first, second, none)}[family]

    def traffic(self) -> Terms:
        """Bits moved."""
        space = self.space
        layer, hardware = space.problem.layer, space.problem.hardware
        co, row = self.ok
        tiles = self.tiles.take(row)
        words = ifmap_pass_words(self.stationary, 1 if self.whole else 2, tiles.fetched, tiles.slid)
        ifmap = layer.groups * words * self._passes(Group.CO, space.co.trips[co])
        weights = layer.weight_words * self._passes(Group.SP, tiles.trips)
        writes = self._passes(Group.CI, space.ci.trips[self.ci])
        written = Traffic(0, 0, layer.ofmap_words * writes, layer.ofmap_words * (writes - 1))
        moved = self.terms("ok", self.ok, Traffic(ifmap, weights, 0, 0).bits(hardware))
        return moved | self.terms("inp", self.ci, written.bits(hardware))

    def _passes(self, group: Group, trips: Any) -> Any:
        """Passes of a tensor when all other groups have several trips: never below the true ones."""
        several = {other.value: 2 for other in Group} | {group.value: trips}
        return passes(self.stationary, group, Trips(**several))

    def compute(self) -> tuple[Terms, Terms, int]:
        """Array cycles: terms, what ``share`` adds up, and its greatest value (0 without ``share``)."""
        space = self.space
        groups = space.problem.layer.groups
        factor = space.ci.cycles[self.ci]
        co, row = self.ok
        pair = groups * space.co.cycles[co] * self.cycles[row]
        if len(set(factor.tolist())) == 1:
            return self.terms("ok", self.ok, pair * factor[0]), {}, 0
        least = int(pair.min())
        terms = self.terms("inp", self.ci, [int(f) * least for f in factor])
        if least == pair.max():
            return terms, {}, 0
        shares = {("share", self.index("inp", b)): int(f) for b, f in zip(self.ci, factor, strict=True)}
        return terms | shares, self.terms("ok", self.ok, pair - least), int(pair.max()) - least


def _name(stationary: Stationary, whole: bool) -> str:
    return stationary.value + (_WHOLE if whole else "")


def _unique(first: Any, second: Any) -> Any:
    pairs = np.unique(np.stack([first, second]), axis=1)
    return pairs[0], pairs[1]


def build_milp(space: Space, found: Candidates, aim: Aim) -> Milp:
    """The program over the given candidates; the module's text has the equations.

    Args:
        space: the map space.
        found: candidate mappings. Combinations of their tiles that are not among them are allowed as well.
        aim: objective and caps.
    """
    variants = _variants(space, found)
    model = pyo.ConcreteModel()
    labels = _choices(model, variants)
    _buffer(model, space, variants)
    latency, traffic = _axes(model, space, variants, aim)
    return Milp(model, _objective(model, aim, latency, traffic), _margin(model), labels)


def _variants(space: Space, found: Candidates) -> list[_Variant]:
    whole = space.ci.trips[found.ci] == 1
    sizes = np.stack(space.grid.tiles(found.tiles.rank), axis=1)
    names = ["x".join(map(str, size)) for size in sizes.tolist()]
    keys = sorted({(int(c), bool(w)) for c, w in zip(found.which, whole, strict=True)})
    return [_Variant(space, found.take((found.which == c) & (whole == w)), c, w, names) for c, w in keys]


def _choices(model: Any, variants: list[_Variant]) -> dict[tuple[str, Keys], int]:
    """Unary choices, and products of two of them."""
    model.variant = pyo.Var([v.name for v in variants], domain=pyo.Binary)
    labels: dict[tuple[str, Keys], int] = {}
    for family, column in (("out", "co"), ("inp", "ci"), ("tile", "rows")):
        for v in variants:
            labels |= {(family, v.index(family, int(i))): int(i) for i in getattr(v, column)}
        index = [key for name, key in labels if name == family]
        setattr(model, family, pyo.Var(index, domain=pyo.Binary))
    pairs = {family: [k for v in variants for k in _indices(v, family)] for family in ("ok", "ik", "oi")}
    for family, index in pairs.items():
        setattr(model, family, pyo.Var(index, domain=pyo.NonNegativeReals))
    model.one_variant = pyo.Constraint(expr=sum(model.variant.values()) == 1)
    for family in ("out", "inp", "tile"):
        _sums(model, f"one_{family}", getattr(model, family), model.variant, lambda key: key[0])
    for family, one, two in (("ok", "out", "tile"), ("ik", "inp", "tile"), ("oi", "out", "inp")):
        _sums(model, f"{family}_{one}", getattr(model, family), getattr(model, one), lambda key: key[:2])
        _sums(
            model,
            f"{family}_{two}",
            getattr(model, family),
            getattr(model, two),
            lambda key: (key[0], key[2]),
        )
    return labels


def _indices(variant: _Variant, family: str) -> Iterable[Keys]:
    return (variant.index(family, int(i), int(j)) for i, j in zip(*getattr(variant, family), strict=True))


def _sums(model: Any, name: str, parts: Any, whole: Any, of: Any) -> None:
    """``whole[i]`` is the sum of the ``parts`` that belong to ``i``."""
    members: dict[Any, list[Any]] = {key: [] for key in whole}
    for key, variable in parts.items():
        members[of(key)].append(variable)
    setattr(model, name, pyo.Constraint(list(whole), rule=lambda _, *key: _row(members, whole, key)))


def _row(members: dict[Any, list[Any]], whole: Any, key: Keys) -> Any:
    at = key[0] if len(key) == 1 else key
    return pyo.quicksum(members[at]) == whole[at]


def _buffer(model: Any, space: Space, variants: list[_Variant]) -> None:
    """Every tensor's tile fits its part, and the parts fit the buffer; scaled to ``SPAN``, or whole banks."""
    hardware, given = space.problem.hardware, space.problem.partition
    banks = hardware.buffer_bits // hardware.bank_bits
    unit = 1.0 if hardware.bank_bytes else banks / SPAN
    domain = pyo.NonNegativeIntegers if hardware.bank_bytes else pyo.NonNegativeReals
    model.part = pyo.Var(TENSORS, domain=domain, bounds=(0, banks / unit))
    for tensor in TENSORS:
        if given is not None:
            model.part[tensor].fix(getattr(given, tensor) // hardware.bank_bits / unit)
    needs = {tensor: _merge(v.needs()[tensor] for v in variants) for tensor in TENSORS}

    def fits(m: Any, tensor: str) -> Any:
        return _sum(m, needs[tensor], unit) <= m.part[tensor]

    model.fits = pyo.Constraint(TENSORS, rule=fits)
    if given is None:
        model.buffer = pyo.Constraint(expr=sum(model.part.values()) <= banks / unit)


def _merge(terms: Iterable[Terms]) -> Terms:
    merged: Terms = {}
    for part in terms:
        for key, value in part.items():
            merged[key] = merged.get(key, 0) + value
    return merged


def _sum(model: Any, terms: Terms, unit: float, most: float = float("inf")) -> Any:
    """The function in units, its coefficients cut at ``most`` and rounded down to a millionth of the largest.

    Args:
        model: has the variables.
        terms: the function.
        unit: what it is measured in.
        most: a value that is out of the question, so that it does not matter by how much it is exceeded.
    """
    values = {key: value / unit for key, value in terms.items() if value}
    values = {key: value if key[0] == "share" else min(value, most) for key, value in values.items()}
    grain = max(values.values(), default=1.0) * GRAIN
    rounded = ((key, floor(value / grain) * grain) for key, value in values.items())
    return pyo.quicksum(getattr(model, family)[key] * value for (family, key), value in rounded if value)


def _shifted(variants: list[_Variant], terms: list[Terms]) -> tuple[Terms, int]:
    """The function with the least coefficient of each family moved to the variant, then to a constant."""
    merged: Terms = {}
    bases = []
    for variant_terms in terms:
        least: dict[str, int] = {}
        for (family, _), value in variant_terms.items():
            if family != "share":
                least[family] = min(value, least.get(family, value))
        merged |= {(f, key): value - least.get(f, 0) for (f, key), value in variant_terms.items()}
        bases.append(sum(least.values()))
    lowest = min(bases)
    for variant, base in zip(variants, bases, strict=True):
        merged["variant", (variant.name,)] = base - lowest
    return {key: value for key, value in merged.items() if value}, lowest


def _scales(aim: Aim, latency_floor: int, traffic_floor: int) -> tuple[Scale, Scale]:
    """Axes of latency and traffic on which the incumbent, or its weighted sum, is at ``SPAN`` or below."""
    floors, weights = (latency_floor, traffic_floor), (aim.latency, aim.traffic)
    spans = [max(best - low, best * FINEST, 1.0) for best, low in zip(aim.incumbent, floors, strict=True)]
    if all(weights):
        above = sum(w * (best - low) for w, best, low in zip(weights, aim.incumbent, floors, strict=True))
        whole = sum(w * best for w, best in zip(weights, aim.incumbent, strict=True))
        spans = [max(above, whole * FINEST) / weight for weight in weights]
    return Scale(latency_floor, spans[0] / SPAN), Scale(traffic_floor, spans[1] / SPAN)


def _axes(model: Any, space: Space, variants: list[_Variant], aim: Aim) -> tuple[Scale | None, Scale | None]:
    """Latency and traffic above their floors, in units; either is left out where nothing needs it."""
    moved, low_traffic = _shifted(variants, [v.traffic() for v in variants])
    timed = bool(aim.latency) or aim.latency_cap is not None
    sides = _sides(model, space, variants) if timed else {"": ({}, 0)}
    latency, traffic = _scales(aim, max(low for _, low in sides.values()), low_traffic)
    if timed:
        cap = _cap(latency, aim.latency_cap)
        model.latency = pyo.Var(bounds=(0, cap))
        for name, (terms, low) in sides.items():
            start = latency.scaled(low)
            expr = _sum(model, terms, latency.unit, _beyond(cap) - start) + start <= model.latency
            setattr(model, name, pyo.Constraint(expr=expr))
    if not aim.traffic and aim.traffic_cap is None:
        return latency, None
    cap = _cap(traffic, aim.traffic_cap)
    model.traffic = pyo.Var(bounds=(0, cap))
    model.moves = pyo.Constraint(expr=_sum(model, moved, traffic.unit, _beyond(cap)) == model.traffic)
    return latency if timed else None, traffic


def _sides(model: Any, space: Space, variants: list[_Variant]) -> dict[str, tuple[Terms, int]]:
    """What latency is at least, each with its floor: the array's ticks, and those of all transfers."""
    hardware = space.problem.hardware
    tick = hardware.tick
    work = []
    for variant, (cycles, most) in zip(variants, _compute(model, variants), strict=True):
        terms = {key: n * tick.per_cycle * (most if key[0] == "share" else 1) for key, n in cycles.items()}
        bits = variant.edge() if hardware.double_buffered else {}
        work.append(_merge([terms, {key: n * tick.per_bit for key, n in bits.items()}]))
    moved = [{key: n * tick.per_bit for key, n in v.traffic().items()} for v in variants]
    if hardware.double_buffered:
        sides = {"computes": work, "transfers": moved}
    else:
        sides = {"works": [_merge(pair) for pair in zip(work, moved, strict=True)]}
    return {name: _shifted(variants, terms) for name, terms in sides.items()}


def _compute(model: Any, variants: list[_Variant]) -> list[tuple[Terms, int]]:
    """Array cycles of each variant, and what one unit of its ``share`` stands for."""
    parts = [variant.compute() for variant in variants]
    index = [key for terms, _, _ in parts for family, key in terms if family == "share"]
    model.share = pyo.Var(index, bounds=(0, 1))
    model.share_of = pyo.Constraint(index, rule=lambda m, *key: m.share[key] <= m.inp[key])
    sums = {v.name: (above, most) for v, (_, above, most) in zip(variants, parts, strict=True) if above}

    def adds_up(m: Any, name: str) -> Any:
        above, most = sums[name]
        mine = [m.share[key] for key in index if key[0] == name]
        return pyo.quicksum(mine) == _sum(m, above, most)

    model.shares = pyo.Constraint(list(sums), rule=adds_up)
    return [(terms, most) for terms, _, most in parts]


def _margin(model: Any) -> float:
    """A mapping has at most one term of each of seven families in a row, each rounded by one grain."""
    rows = [
        getattr(model, name) for name in ("moves", "computes", "transfers", "works") if hasattr(model, name)
    ]
    largest = max(
        abs(c) for row in rows for c in generate_standard_repn(row.body, compute_values=True).linear_coefs
    )
    return float(10 * GRAIN * max(SPAN, largest))


def _cap(scale: Scale, cap: int | None) -> float | None:
    """A cap on a scaled axis, with room for rounding; what is returned is checked exactly."""
    return None if cap is None else max(0.0, scale.scaled(cap)) + ROUNDING


def _beyond(cap: float | None) -> float:
    return BEYOND * max(SPAN, cap or 0.0)


def _objective(model: Any, aim: Aim, latency: Scale | None, traffic: Scale | None) -> Scale:
    """The weighted sum of latency and traffic above its floor, in units; one alone as it is."""
    parts = []
    if traffic is not None:
        parts.append((aim.traffic, traffic, model.traffic))
    if latency is not None:
        parts.append((aim.latency, latency, model.latency))
    lowest = sum(weight * scale.floor for weight, scale, _ in parts)
    unit = sum(weight * scale.unit for weight, scale, _ in parts)
    expr = sum(weight * scale.unit / unit * variable for weight, scale, variable in parts if weight)
    model.objective = pyo.Objective(expr=expr)
    return Scale(lowest, unit)
