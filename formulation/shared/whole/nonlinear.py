"""The integer nonlinear program of shared ifmap tiles: all mappings of one loop order, every cost exact.

As ``formulation.program.nonlinear``, with rounds in place of tiles of output channels. Rounds that are alike
are one *pattern* t, which runs ``times`` t; x are filters, y passes of sub-kernel j:

    sum_t times_t x_jt = Co,   n_co = sum_t times_t,   x_jt <= limit y_jt,   passes_j = sum_t times_t y_jt
    sum_j taps_j x_jt <= P,    sum_j pixels_j x_jt <= Q                      for each pattern
    weights' tile = ci P,      ofmap's tile = Q,   pixels_j = product of min(tile, extent of j)
    compute = groups * sum_j (fixed + each * passes_j) cycles_ci cycles_sp   (``SharedSpace.factors``)

How many patterns it takes. Two rounds that are equal in all x and y modulo 2 may both be replaced by their
mean, which is whole: sums stay, and P and Q do not grow. That ends, as it brings rounds closer to each other,
with at most as many patterns as there are remainders: two to the power of how many x and y a pattern has. So
there need be no more than these, nor more than filters. Where passes cost nothing there is no y, and all
sub-kernels that are alike are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import prod

from pyomo.core.base import ConcreteModel, Objective

from dnns.layer import Layer
from formulation.cost import Trips, array_passes, array_traffic, group_cycles, held_bits
from formulation.extents import batch_axis, spatial_tiles
from formulation.hardware import Halo
from formulation.mapping import Group, Stationary
from formulation.pricing.objective import Measure
from formulation.program.nonlinear.machine import DimensionCut, MachineModel, Number, high_of, value_of
from formulation.program.nonlinear.whole import Book
from formulation.shared.problem import SharedProblem
from formulation.shared.space import SharedSpace
from formulation.shared.whole.rounds import packed_items


def build_shared_nonlinear(
    problem: SharedProblem, stationary: Stationary, measure: Measure, cap: int | None = None
) -> ConcreteModel:
    """All mappings of one loop order, minimised in one measure; the module's text has the equations.

    Args:
        problem: the deconvolution, the machine and the partition, if it is given.
        stationary: the loop order.
        measure: what is minimised.
        cap: the greatest latency [ticks]; None for none.

    Returns:
        The model, as of ``build_nonlinear``.

    Raises:
        ValueError: if transfers take bursts, which the programs do not count.
    """
    if problem.hardware.burst_bytes:
        raise ValueError("nonlinear programs of shared ifmap tiles do not count bursts")
    model = ConcreteModel(f"nonlinear_shared_{stationary.value}")
    book = Book(model)
    _SharedModel(problem, stationary, book).build(measure, cap)
    model.tables = dict(book.tables)
    return model


def pattern_size(space: SharedSpace, counted: bool) -> tuple[int, int]:
    """Patterns, and what each has filters of.

    Args:
        space: the map space.
        counted: whether passes are counted: for latency, and for what is summed.
    """
    every, items = space.filters * len(space.kernels.layers), len(packed_items(space, counted))
    return min(every, 2 ** min(every, (1 + counted) * items)), items


class _SharedModel(MachineModel):
    """One model on its way."""

    def __init__(self, problem: SharedProblem, stationary: Stationary, book: Book) -> None:
        super().__init__(problem.kernels, problem.hardware, problem.partition, stationary, book)
        self.deconv, self.kernels, self.space = problem.deconv, problem.kernels, SharedSpace(problem)
        names = ("batch", *(f"axis{i}" for i in range(len(problem.deconv.axes))))
        self.ci = self.cut("ci", self.deconv.in_channels)
        self.dims = dict(zip(names, self.kernels.dims, strict=True))
        self.cuts = {name: self.cut(name, len(dim.tile)) for name, dim in self.dims.items()}
        self._clipped: dict[tuple[str, int], DimensionCut] = {}
        self.own = [self._own(layer) for layer in self.kernels.layers]

    def build(self, measure: Measure, cap: int | None) -> None:
        """Add everything to the model."""
        book, rates = self.book, measure.rates(self.hardware)
        timed = bool(measure.weights.latency) or cap is not None or (rates is not None and rates.tick > 0)
        self.items = packed_items(self.space, timed or rates is not None)
        rounds, passes, fullest = self._packed(timed or rates is not None)
        sp = self.product("trips", "sp", [cut.trips for cut in self.cuts.values()])
        trips = Trips(rounds, self.ci.trips, sp)
        fetched, slid, largest = self._words()
        self.labelled("ci", trips.ci)
        channels = self.ci.tile
        weights, ofmap = fullest
        held = held_bits(self.hardware, channels * largest, ofmap, channels * weights, trips.ci)
        self.capacity(held)
        for group in Group:
            self.labelled(group.value, trips.of(group))
        bits = self.moved(trips, fetched, slid).bits(self.hardware)
        volume = book.variable("total", "traffic", 0, high_of(bits) / 8)
        book.row("moves", "traffic", 8 * volume == value_of(bits))
        terms = {"traffic": volume}
        cycles = [self._cycles(k) for k in range(len(self.space.kinds))] if passes else []
        if timed:
            compute = self._compute(passes, cycles)
            terms["latency"] = self.latency(compute, held, volume, self.setup(trips), cap, Fraction(0))
        if rates is not None:
            macs, name = sum(layer.macs for layer in self.kernels.layers), measure.spends.name
            array = self._array(passes, cycles)
            terms[name] = self.spent(name, rates, macs, array, bits, terms.get("latency", 0))
        book.model.objective = Objective(expr=self.aim(measure, terms))

    def _own(self, layer: Layer) -> list[DimensionCut]:
        """A tile of the common grid clipped to a sub-kernel's outputs, on each axis."""
        found = []
        for (name, cut), axis in zip(self.cuts.items(), (batch_axis(layer), *layer.axes), strict=True):
            grid, out = len(self.dims[name].tile), axis.out
            key = name, out
            if out == grid:
                found.append(cut)
                continue
            if key not in self._clipped:
                index = f"{name}_{out}"
                tile = self.book.table("clipped", index, cut.tile, [min(t, out) for t in range(1, grid + 1)])
                self._clipped[key] = self.cut(index, out, self.book.named("clipped", index, tile))
            found.append(self._clipped[key])
        return found

    def _packed(self, counted: bool) -> tuple[Number, list[Number], tuple[Number, Number]]:
        """Rounds, passes of each item if they are counted, and the largest round's weights and ofmap."""
        book, space = self.book, self.space
        every = space.filters * len(self.kernels.layers)
        count, _ = pattern_size(space, counted)
        times = [book.whole("times", f"p{t}", 0, 1 if count == every else every) for t in range(count)]
        filters = [
            [book.whole("filters", f"k{i}_p{t}", 0, space.filters * len(members)) for t in range(count)]
            for i, (_, members) in enumerate(self.items)
        ]
        for i, (row, (_, members)) in enumerate(zip(filters, self.items, strict=True)):
            packed = _total(n * x for n, x in zip(times, row, strict=True))
            book.row("packed", f"k{i}", value_of(packed) == space.filters * len(members))
        fullest = self._fullest(filters)
        rounds = book.named("trips", "co", _total(times), 1)
        passes = [self._passes(i, times, row) for i, row in enumerate(filters)] if counted else []
        return rounds, passes, fullest

    def _fullest(self, filters: list[list[Number]]) -> tuple[Number, Number]:
        """What the largest round holds, patterns in descending order of their weights."""
        book, space = self.book, self.space
        first = [members[0] for _, members in self.items]
        taps = [self.kernels.layers[j].taps for j in first]
        pixels = [prod(cut.tile for cut in self.own[j]) for j in first]
        every = [space.filters * len(members) for _, members in self.items]
        most = sum(n * high_of(p) for n, p in zip(every, pixels, strict=True))
        weights = book.whole("fullest", "weights", 1, space.filters * space.taps)
        ofmap, before = book.whole("fullest", "ofmap", 1, most), None
        for t, column in enumerate(zip(*filters, strict=True)):
            load, held = (_total(x * n for x, n in zip(column, of, strict=True)) for of in (taps, pixels))
            book.row("round_weights", f"p{t}", value_of(load) <= value_of(weights))
            book.row("round_ofmap", f"p{t}", value_of(held) <= value_of(ofmap))
            if before is not None:
                book.row("in_order", f"p{t}", value_of(before) >= value_of(load))
            before = load
        return weights, ofmap

    def _passes(self, item: int, times: list[Number], filters: list[Number]) -> Number:
        """Passes of a sub-kernel: of each pattern, as often as it runs."""
        limit, parts = self.space.limit, []
        for t, (often, x) in enumerate(zip(times, filters, strict=True)):
            self.book.label = f"k{item}_p{t}"
            parts.append(often * -(-x // limit))
        return self.book.named("passes", f"k{item}", _total(parts), -(-self.space.filters // limit))

    def _words(self) -> tuple[Number, Number, Number]:
        """Ifmap words of one pass, fetched and slid, of all channels; the largest tile, of one.

        Where nothing clips a hull, it is as long as that of one point and a word for each other one.
        """
        book, channels = self.book, self.deconv.in_channels
        fetched, longest = {}, []
        for name, dim in self.dims.items():
            tile, reach = self.cuts[name].tile, int(dim.largest[0]) - 1
            rest = book.table("words", name, tile, [int(v) for v in dim.fetched - reach * dim.trips])
            fetched[name] = book.named("words", name, self.cuts[name].trips * reach + rest)
            reached = book.table("longest", name, tile, [int(v) for v in dim.largest])
            longest.append(book.named("longest", name, reached))
        whole = slid = self.product("words", "fetched", [channels, *fetched.values()])
        if self.hardware.halo is Halo.REUSE:
            slid = self.product("words", "slid", [channels, self.one_of(self._ways(fetched))])
        return whole, slid, prod(longest)

    def _ways(self, fetched: dict[str, Number]) -> dict[str, Number]:
        """Words of one channel if tiles slide along an axis."""
        found = {}
        for name in list(self.dims)[1:]:
            new = self.book.table("new", name, self.cuts[name].tile, [int(v) for v in self.dims[name].slid])
            others = [words for other, words in fetched.items() if other != name]
            found[name] = prod([self.book.named("new", name, new), *others])
        return found

    def _cycles(self, kind: int) -> tuple[Number, Number]:
        """The factors of input channels and tiles in the array's cycles of a sub-kernel."""
        space, found = self.space, []
        layer, own = space.kinds[kind].layer, self.own[space.kinds[kind].members[0]]
        for group, pieces, whole in ((Group.CI, [self.ci], layer.in_channels), (Group.SP, own, layer.pixels)):
            self.book.label = f"{group.value}_kind{kind}"
            together = [(1, whole)]
            least = group_cycles(layer, self.hardware, group, 1, together)
            streams = array_passes(self.hardware, group, 1, 0) == 1
            tiles = together if streams else spatial_tiles(*map(list, zip(*pieces, strict=True)))
            trips = prod(piece.trips for piece in pieces)
            cycles = group_cycles(layer, self.hardware, group, trips, tiles)
            found.append(self.book.named("cycles", self.book.label, cycles, least))
        return found[0], found[1]

    def _compute(self, passes: list[Number], cycles: list[tuple[Number, Number]]) -> Number:
        """Cycles of the array."""
        fixed, each = self.space.factors
        parts = []
        for kind, (inp, tile) in zip(self.space.kinds, cycles, strict=True):
            filters = _total(fixed + each * passes[i] for i in self._of(kind.members))
            parts.append(filters * inp * tile)
        return self.deconv.groups * _total(parts)

    def _of(self, members: tuple[int, ...]) -> list[int]:
        """Positions of the items that are these sub-kernels."""
        return [i for i, (_, (j, *_)) in enumerate(self.items) if j in members]

    def _array(self, passes: list[Number], cycles: list[tuple[Number, Number]]) -> Number:
        """Bits between buffer and array."""
        parts, hardware = [], self.hardware
        for kind, (inp, tile) in zip(self.space.kinds, cycles, strict=True):
            tiles = prod(cut.trips for cut in self.own[kind.members[0]])
            ci = array_passes(hardware, Group.CI, self.ci.trips, inp)
            sp = array_passes(hardware, Group.SP, tiles, tile)
            for i in self._of(kind.members):
                moved = Trips(passes[i], ci, sp)
                parts.append(array_traffic(kind.layer, kind.layer.ifmap_reads, moved).bits(hardware))
        return _total(parts)


def _total(parts: Iterable[Number]) -> Number:
    first, *rest = parts
    return sum(rest, first)
