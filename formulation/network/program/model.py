"""What stays on the chip and how every layer is run, as a mixed-integer linear program.

Sets: tensors t that may stay, positions l of layers, blocks b (a layer alone, or a run of them), their states
s (how many tensors n[b,s,k] of each kind k stay), points p of each state (need, latency, traffic). Binaries:

    stay[t]         the tensor stays
    run[b,s,p]      the block is run so

One block for each layer; ``use[b,s] = sum over p of run[b,s,p]``:

    cover[l]:       sum over b at l, s, p of run[b,s,p] = 1

The states agree with the tensors, for each kind k at l (equal if all blocks at l name the kind):

    some[l,k]:      sum over b at l that name k, s of n[b,s,k] * use[b,s] <= sum over t in k of stay[t]
    rest[l,k]:      sum of (|k| - n[b,s,k]) * use[b,s] <= sum over t in k of (1 - stay[t])

Capacity, with ``size[t]`` of tensors that are alive at l; beside a run of layers also those alive elsewhere
in it: m[b,s,l] bits of those that its state names, and t' that it does not (beside[b,t'] >= stay[t'] +
use[b] - 1):

    room[l]:        sum over b at l of (need[p] + m[b,s,l]) * run[b,s,p] + sum over t alive at l of
                    size[t]*stay[t] + sum over b, t' of size[t']*beside[b,t'] <= buffer

Trained weights that stay for good (``formulation.network.weights``) take their room in all of these rows.

Latency, traffic and weighted sums of them are sums of ``value[p] * run[b,s,p]``. Each block's value is taken
less the difference of the least sums before its ends (``Potentials``), so that coefficients are small and not
negative:

    total = least + sum over b, s, p of excess[p] * run[b,s,p]

The objective is one of them; others may be capped. Points whose excess alone is above a cap, or above a known
solution, are left out. Capacity is in buffers, caps in what they leave above the least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Any

import pyomo.core as pyo

from formulation.hardware import Hardware
from formulation.network.frontiers.frontier import Point
from formulation.network.graph import Tensor
from formulation.network.movement import kept_bits
from formulation.network.program.blocks import Block, Potentials, TotalMeasure
from formulation.network.program.choice import Chosen, Key, NetworkAim
from formulation.network.program.sums import BlockSums
from formulation.network.weights import TrainedWeights, keep_for_good

#: What the objective's excess of a known solution becomes.
SPAN = 1000.0
#: Room for the solver's rounding in a cap, in shares of what it leaves.
ROUNDING = 1e-9

Label = tuple[str, str, int]
"""The same by the block's name, and the numbers that stay of its kinds, with ``w`` if its weights stay."""


@dataclass(frozen=True)
class NetworkMilp:
    """A program with what is needed to read it.

    Attributes:
        model: the Pyomo model; its objective is the measure above ``floor`` in ``unit``.
        blocks: the blocks.
        floor: see there.
        unit: see there.
        step: all totals are ``floor`` and a multiple of it.
        names: of the tensors, as ``stay`` is indexed.
        labels: of block, state and point, as ``run`` is indexed.
        weights: those that may stay for good.
    """

    model: Any
    blocks: tuple[Block, ...]
    names: dict[int, str]
    labels: dict[Key, Label]
    floor: int
    unit: Fraction
    step: int
    weights: tuple[TrainedWeights, ...] = ()

    def value(self, objective: float) -> Fraction:
        """The measure of an objective's value."""
        return self.floor + self.unit * Fraction(objective)

    def solution(self) -> Chosen:
        """What the model's variables say."""
        m = self.model
        runs = [key for key, label in self.labels.items() if m.run[label].value > 0.5]
        named = {
            t for b, _, _ in runs for kind in self.blocks[b].kinds for t in kind
        }  # else it is inside one
        stays = frozenset(t for t, name in self.names.items() if t in named and m.stay[name].value > 0.5)
        good = {p for b, s, _ in runs if self.blocks[b].states[s].resident for p in self.blocks[b].positions}
        weights = frozenset(i for i, w in enumerate(self.weights) if not good.isdisjoint(w.positions))
        return Chosen(stays, tuple(sorted(runs, key=lambda key: self.blocks[key[0]].first)), weights)

    def start(self, chosen: Chosen) -> list[tuple[Any, float]]:
        """Values of the binaries for a solution; of those that the model has."""
        m, runs = self.model, set(chosen.runs)
        values = [(m.stay[name], float(t in chosen.stays)) for t, name in self.names.items()]
        values += [(m.keep[w.name], float(i in chosen.weights)) for i, w in enumerate(self.weights)]
        return values + [(m.run[label], float(key in runs)) for key, label in self.labels.items()]


def build_network_milp(
    hardware: Hardware,
    tensors: Sequence[Tensor],
    blocks: Sequence[Block],
    aim: NetworkAim,
    weights: Sequence[TrainedWeights] = (),
) -> NetworkMilp:
    """The program of a network; see the module's equations.

    Args:
        hardware: gives the buffer and the tensors' width.
        tensors: of the graph, by index.
        blocks: every layer has one that ends with it.
        aim: what is minimised.
        weights: trained ones that may stay for good.
    """
    count = 1 + max(block.last for block in blocks)
    sums = {m: Potentials.of(count, blocks, m) for m in (aim.measure, *(m for m, _ in aim.caps))}
    limits = [(m, cap - sums[m].least) for m, cap in aim.caps]
    floor = sums[aim.measure].least
    if aim.known is not None:
        limits.append((aim.measure, aim.known - floor))
    points = {
        (b, s, p): point
        for b, block in enumerate(blocks)
        for s, p, point in block.choices()
        if all(sums[m].excess(block, m.of(point)) <= limit for m, limit in limits)
    }
    if aim.thin:
        few = [block.thinned(aim.thin) for block in blocks]
        known = () if aim.start is None else aim.start.runs
        points = {key: p for key, p in points.items() if key[1:] in few[key[0]] or key in known}
    costs = {
        key: sums[aim.measure].excess(blocks[key[0]], aim.measure.of(point)) for key, point in points.items()
    }
    above = max(costs.values(), default=0) if aim.known is None else aim.known - floor
    unit = Fraction(max(above, floor // 10**9, 1)) / Fraction(SPAN)
    m: Any = pyo.ConcreteModel("network")
    names = {t.index: t.name for t in tensors if t.may_stay}
    labels = {key: _label(blocks, key) for key in points}
    m.stay = pyo.Var(list(names.values()), domain=pyo.Binary)
    m.run = pyo.Var(list(labels.values()), domain=pyo.Binary)
    stay = {t: m.stay[name] for t, name in names.items()}
    run = {key: m.run[label] for key, label in labels.items()}
    used = BlockSums(blocks, run)
    _cover(m, count, used)
    _agreement(m, count, used, stay)
    held = keep_for_good(m, weights, used.resident, hardware.buffer_bits) if weights else 0
    _capacity(m, hardware, tensors, used, points, stay, held)
    for measure, cap in aim.caps:
        _cap(m, blocks, points, run, sums[measure], measure, cap)
    _refuse(m, run, aim.refused)
    m.objective = pyo.Objective(
        expr=pyo.quicksum(float(cost / unit) * run[key] for key, cost in costs.items())
    )
    step = gcd(*costs.values()) or 1
    return NetworkMilp(m, tuple(blocks), names, labels, floor, unit, step, tuple(weights))


def _label(blocks: Sequence[Block], key: Key) -> Label:
    block = blocks[key[0]]
    state = block.states[key[1]]
    return block.name, ("".join(map(str, state.stay)) or "0") + "w" * state.resident, key[2]


def _cover(m: Any, count: int, used: BlockSums) -> None:
    """One block for each layer."""
    m.cover = pyo.Constraint(pyo.Any)
    for position in range(count):
        m.cover[used.name(position)] = used.of_all(position) == 1


def _agreement(m: Any, count: int, used: BlockSums, stay: Mapping[int, Any]) -> None:
    """States agree with the tensors."""
    m.same, m.some, m.rest = (pyo.ConstraintList() for _ in range(3))
    told: set[tuple[object, ...]] = set()
    for position in range(count):
        here = used.at[position]
        kinds = dict.fromkeys(kind for b in here for kind in used.blocks[b].kinds)
        for kind in kinds:
            naming = tuple(b for b in here if kind in used.blocks[b].kinds)
            complete = len(naming) == len(here)
            if (kind, naming, complete) in told:
                continue
            told.add((kind, naming, complete))
            staying, leaving = [], []
            for b in naming:
                at = used.blocks[b].kinds.index(kind)
                for counts, use in used.states(b):
                    staying.append(counts[at] * use)
                    leaving.append((len(kind) - counts[at]) * use)
            stays = pyo.quicksum(stay[t] for t in kind)
            if complete:
                m.same.add(pyo.quicksum(staying) - stays == 0)
            else:
                m.some.add(pyo.quicksum(staying) - stays <= 0)
                m.rest.add(pyo.quicksum(leaving) + stays <= len(kind))


def _capacity(
    m: Any,
    hardware: Hardware,
    tensors: Sequence[Tensor],
    used: BlockSums,
    points: Mapping[Key, Point],
    stay: Mapping[int, Any],
    held: Any,
) -> None:
    """What runs and what stays fits the buffer, at every layer; ``held`` is what weights take for good."""
    buffer = hardware.buffer_bits
    size = {t.index: kept_bits(hardware, t) / buffer for t in tensors if t.may_stay}
    alive: dict[int, set[int]] = {
        position: {t for t in size if tensors[t].alive(position)} for position in used.at
    }
    m.beside = pyo.VarList(domain=pyo.NonNegativeReals)
    m.beside_at_least, m.room = pyo.ConstraintList(), pyo.Constraint(pyo.Any)
    by_block: dict[int, list[tuple[Key, Point]]] = {}
    for key, point in points.items():
        by_block.setdefault(key[0], []).append((key, point))
    elsewhere: dict[int, dict[int, Any]] = {}
    for b, block in enumerate(used.blocks):
        elsewhere[b] = {}
        if block.first == block.last:
            continue
        named = {t for kind in block.kinds for t in kind}
        everywhere = set.intersection(*(alive[position] for position in block.positions))
        others = set.union(*(alive[position] for position in block.positions)) - everywhere - named
        for t in sorted(t for t in others if size[t] <= 1 and tensors[t].producer not in block.positions):
            beside = m.beside.add()
            m.beside_at_least.add(beside >= stay[t] + used.of(b) - 1)
            elsewhere[b][t] = beside
    for position, here in used.at.items():
        terms = [size[t] * stay[t] for t in sorted(alive[position])]
        for b in here:
            block = used.blocks[b]
            for key, point in by_block.get(b, ()):
                kept = _named_elsewhere(block, block.states[key[1]].stay, alive[position])
                extra = sum(size[t] for t in kept)
                terms.append((point.need / buffer + extra) * used.run[key])
            terms += [size[t] * v for t, v in elsewhere[b].items() if t not in alive[position]]
        m.room[used.name(position)] = pyo.quicksum(terms) + held <= 1 + ROUNDING


def _named_elsewhere(block: Block, stay: tuple[int, ...], alive: set[int]) -> list[int]:
    """Tensors that stay in a state of a run of layers and are not alive at one of them."""
    if block.first == block.last:
        return []
    kept = (t for kind, number in zip(block.kinds, stay, strict=True) for t in kind[:number])
    return [t for t in kept if t not in alive]


def _cap(
    m: Any,
    blocks: Sequence[Block],
    points: Mapping[Key, Point],
    run: Mapping[Key, Any],
    sums: Potentials,
    measure: TotalMeasure,
    cap: int,
) -> None:
    """A total of at most the cap, in shares of what it leaves above the least."""
    left = max(cap - sums.least, 1)
    total = pyo.quicksum(
        sums.excess(blocks[key[0]], measure.of(point)) / left * run[key] for key, point in points.items()
    )
    setattr(m, f"{measure.name}_cap", pyo.Constraint(expr=total <= (cap - sums.least) / left + ROUNDING))


def _refuse(m: Any, run: Mapping[Key, Any], refused: Iterable[Chosen]) -> None:
    """None of the given solutions."""
    m.refused = pyo.ConstraintList()
    for chosen in refused:
        used = [run[key] for key in chosen.runs if key in run]
        if len(used) == len(chosen.runs):
            m.refused.add(pyo.quicksum(used) <= len(used) - 1)
