"""Filters packed into rounds, as rows of the whole program.

Of N rounds the first n are used, n being chosen with the tiles (``out``). Item i is a sub-kernel, or where
passes cost nothing all sub-kernels that are alike; x and y are whole numbers of filters and passes:

    round[r] - round[r+1] = sum_v out[v,r],  round[1] = 1                (round r is used)
    sum_r x[i,r] = filters of i,    sum_i x[i,r] <= all * round[r]
    x[i,r] <= limit * y[i,r],       sum of y over the sub-kernels of a kind = passes[k]
    sum_i taps_i x[i,r] <= P,       sum_i ratio_ci x[i,r] <= Q_c         (c: ratios of the tile's pixels)

What follows from these for whole numbers of rounds, but not for parts of them, is stated as well, with what
``formulation.shared.packing_bounds`` says of n rounds, of all packings and of those that split no pass:

    P >= sum_n least_n * out[n],    passes >= sum_n max(n, fewest) * out[n]
    P >= sum_n whole_n * out[n] - (most of whole_n - least_n) * (passes - fewest);          Q_c likewise
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyomo.core as pyo

from formulation.extents import Ints
from formulation.program.products import Spans
from formulation.shared.space import SharedSpace
from formulation.shared.whole.choices import SharedChoices
from formulation.shared.whole.coefficients import ONE, SharedTerms, ofmap_load
from formulation.shared.whole.loads import add_loads


def packed_items(space: SharedSpace, timed: bool) -> list[tuple[int, tuple[int, ...]]]:
    """What is packed: kind and sub-kernels of each item."""
    if not timed:
        return [(k, kind.members) for k, kind in enumerate(space.kinds)]
    return [(k, (j,)) for k, kind in enumerate(space.kinds) for j in kind.members]


class RoundRows:
    """The packing's variables and rows.

    Args:
        made: all choices.
        variants: of the program.
        timed: whether passes cost anything.
    """

    def __init__(self, made: SharedChoices, variants: list[SharedTerms], timed: bool) -> None:
        self.made, self.space, self.variants, self.timed = made, made.space, variants, timed
        self.items = packed_items(self.space, timed)
        self.taps = [self.space.kinds[k].layer.taps for k, _ in self.items]
        self.filters = [len(members) * self.space.filters for _, members in self.items]

    def add(self, model: Any, spans: Spans) -> None:
        """Add all rows; the model has the choices, ``spans`` gets those of its own variables."""
        model.LOADS = range(self.made.most_rounds)
        self._rounds(model)
        self._fullest(model)
        if self.timed:
            self._passes(model, spans)
            self._work(model)
            self._split(model)
        add_loads(model, [list(v.products) for v in self.variants], spans)

    def _rounds(self, model: Any) -> None:
        """Every filter in a round that is used."""
        items, rounds = range(len(self.items)), model.LOADS
        model.round = pyo.Var(rounds, bounds=(0, 1))
        model.x = pyo.Var(items, rounds, domain=pyo.NonNegativeIntegers)
        for i in items:
            for r in rounds:
                model.x[i, r].setub(self.filters[i])
        model.round[0].fix(1)
        used: dict[int, list[Any]] = defaultdict(list)
        for variant in self.variants:
            for at, key in variant.index["out"].items():
                used[at].append(model.out[key])

        def descends(m: Any, r: int) -> Any:
            after = m.round[r + 1] if r + 1 < len(rounds) else 0
            return m.round[r] - after == pyo.quicksum(used[r])

        def every(m: Any, i: int) -> Any:
            return pyo.quicksum(m.x[i, r] for r in rounds) == self.filters[i]

        def only(m: Any, r: int) -> Any:
            return pyo.quicksum(m.x[i, r] for i in items) <= sum(self.filters) * m.round[r]

        model.rounds = pyo.Constraint(rounds, rule=descends)
        model.every = pyo.Constraint(items, rule=every)
        model.only = pyo.Constraint(rounds, rule=only)

    def _fullest(self, model: Any) -> None:
        """P and Q: of each round, and what whole numbers of rounds make of them."""
        made, loads, rounds = self.made, self.made.loads, model.LOADS
        most = {"weights": self.space.filters * self.space.taps}
        shares = {"weights": self.taps}
        for c, ratio in enumerate(made.ratios.tolist()):
            shares[ofmap_load(c)] = [ratio[self.space.kinds[k].shape] for k, _ in self.items]
            most[ofmap_load(c)] = sum(n * s for n, s in zip(self.filters, shares[ofmap_load(c)], strict=True))
        model.fullest = pyo.Var(list(most), domain=pyo.NonNegativeIntegers)
        self.floors = {"weights": loads.weights}
        self.floors |= {ofmap_load(c): row for c, row in enumerate(loads.ofmap)}
        for load, greatest in most.items():
            model.fullest[load].setlb(int(self.floors[load].min()))
            model.fullest[load].setub(int(greatest))

        def held(m: Any, load: str, r: int) -> Any:
            return self._sum(m, shares[load], r) <= m.fullest[load]

        model.held = pyo.Constraint(list(most), rounds, rule=held)
        model.at_least = pyo.Constraint(
            list(most), rule=lambda m, load: m.fullest[load] >= self._by_rounds(m, self.floors[load])
        )

    def _sum(self, model: Any, shares: list[int], r: int) -> Any:
        return pyo.quicksum(n * model.x[i, r] for i, n in enumerate(shares))

    def _by_rounds(self, model: Any, values: Ints) -> Any:
        """What a table by numbers of rounds says of the one that is chosen."""
        index = [(at, key) for v in self.variants for at, key in v.index["out"].items()]
        return pyo.quicksum(int(values[at]) * model.out[key] for at, key in index)

    def _passes(self, model: Any, spans: Spans) -> None:
        """Passes of each sub-kernel and round, summed by kind."""
        items, rounds, limit = range(len(self.items)), model.LOADS, self.space.limit
        model.y = pyo.Var(
            items, rounds, domain=pyo.NonNegativeIntegers, bounds=(0, -(-self.space.filters // limit))
        )
        model.within = pyo.Constraint(items, rounds, rule=lambda m, i, r: m.x[i, r] <= limit * m.y[i, r])
        sums = []
        for k, (low, most) in enumerate(self.made.passes_range()):
            total = pyo.quicksum(model.y[i, r] for i in items for r in rounds if self.items[i][0] == k)
            if most > low:
                spans[f"passes{k}", ONE] = most - low
                more = pyo.Var(list(ONE), bounds=(0, 1))
                setattr(model, f"passes{k}", more)
                total, row = low + (most - low) * more["all"], total
                setattr(model, f"passes{k}_of", pyo.Constraint(expr=row == total))
            sums.append(total if most > low else low)
        self.sums, self.fewest = sums, self.space.passes
        values = np.maximum(np.arange(1, self.made.most_rounds + 1), self.fewest)
        model.enough = pyo.Constraint(expr=sum(sums) >= self._by_rounds(model, values))

    def _work(self, model: Any) -> None:
        """L of each shape, with the input channels' factor."""
        space, (fixed, each) = self.space, self.space.factors
        index, most = list(range(len(space.shapes))), [float(n) for _, n in self.made.work_range()]
        model.work = pyo.Var(index, bounds=(0, 1))
        parts: dict[int, list[Any]] = defaultdict(list)
        for k, (kind, factors) in enumerate(zip(space.kinds, space.ci_cycles, strict=True)):
            count = len(kind.members) * fixed
            if len(set(factors.tolist())) == 1:
                parts[kind.shape].append(int(factors[0]) * (count + each * self.sums[k]))
                continue
            low, top = self.made.passes_range()[k]
            owners = [(at, key) for v in self.variants for at, key in v.index["inp"].items()]
            beside = pyo.Var([key for _, key in owners], bounds=(0, top))
            setattr(model, f"turns{k}", beside)
            rows = pyo.Constraint([key for _, key in owners], ("low", "most"))
            setattr(model, f"turns{k}_if", rows)
            for _, key in owners:
                rows[(*key, "low")] = beside[key] >= low * model.inp[key]
                rows[(*key, "most")] = beside[key] <= top * model.inp[key]
            total = pyo.quicksum(beside.values()) == self.sums[k]
            setattr(model, f"turns{k}_of", pyo.Constraint(expr=total))
            for at, key in owners:
                parts[kind.shape].append(int(factors[at]) * (count * model.inp[key] + each * beside[key]))
        model.works_of = pyo.Constraint(
            index, rule=lambda m, s: m.work[s] >= pyo.quicksum(parts[s]) / most[s]
        )

    def _split(self, model: Any) -> None:
        """P and Q of packings that split no pass; with a pass more this says nothing."""
        loads = self.made.loads
        wholes = {"weights": loads.whole_weights}
        wholes |= {ofmap_load(c): row for c, row in enumerate(loads.whole_ofmap)}
        model.unsplit = pyo.Constraint(list(wholes))
        for load, whole in wholes.items():
            gap = int((whole - self.floors[load]).max())
            if gap > 0:
                more = sum(self.sums) - self.fewest
                model.unsplit[load] = model.fullest[load] >= self._by_rounds(model, whole) - gap * more
