"""The integer nonlinear program: all mappings of one loop order, every cost exact, for any MINLP solver.

The formulas are those of ``formulation.cost``, called with whole numbers of the model (``whole``) in place of
integers. So nothing is relaxed, sieved or listed: what such a solver proves, it proves of the map space.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from pyomo.core.base import ConcreteModel, Objective

from dnns.axes import Axis
from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.cost import (
    TensorBits,
    Traffic,
    Trips,
    array_passes,
    array_traffic,
    batch_axis,
    footprint,
    group_cycles,
    setup_cycles,
    spatial_tiles,
    tile_bits,
    traffic,
)
from formulation.extents import AxisTable, full_axis_table
from formulation.hardware import Halo
from formulation.mapping import Group, Stationary
from formulation.nonlinear.whole import Book, Whole
from formulation.objective import Measure, Quantity
from formulation.price import EDGE_TRANSFERS
from formulation.problem import Problem

Number = Whole | int


class _Cut(NamedTuple):
    """A dimension cut into tiles: trips, tile size, the last tile."""

    trips: Number
    tile: Number
    edge: Number


def build_nonlinear(
    problem: Problem, stationary: Stationary, measure: Measure, cap: int | None = None
) -> ConcreteModel:
    """All mappings of one loop order, minimised in one measure.

    ::

        min   latency | traffic | spent | their weighted sum
        s.t.  (n_d - 1) t_d + 1 <= E_d <= n_d t_d              tile and trips of each dimension d
              last_d = E_d - (n_d - 1) t_d                      its last tile
              words_a = span_a + (Ke - stride) n_a              of the intervals of axis a, summed over tiles
              longest_a = stride t_a + Ke - stride              longest interval
              several_g = 1  iff  n_g > 1                       groups of loops: co, ci, sp
              moved_x = words_x * passes_x(n, several)          words of each tensor, by ``cost.passes``
              traffic = moved words times their widths / 8
              cycles_g = sum over tiles of ceil(extent / side)  of the group on a side of the array
              copies * tile_x <= 8 part_x                       (tensors x; whole banks if there are banks)
              part_I + part_O + part_W <= buffer
              compute + edge <= latency                         double-buffered; else their sum
              transfer + set-ups of all transfers <= latency
              r_mac MACs + r_port array + r_moved traffic + r_tick latency <= spent    (``hardware.Rates``)
              latency <= cap                                    where the step before caps it

    Where borders clip the intervals, ``words`` and ``longest`` are no such lines: a table by tile size takes
    their place, or that of ``span``, as straight runs with a binary each (``Book.table``). With halo reuse
    ``slide_a`` chooses the axis along which tiles slide.

    Args:
        problem: the layer, the machine and the partition, if it is given.
        stationary: the loop order.
        measure: what is minimised.
        cap: the greatest latency [ticks]; None for none.

    Returns:
        The model; ``total[latency]`` is in cycles, ``total[traffic]`` in bytes, what is spent, by the name of
        its quantity, as that is told (``total[energy]`` in pJ), ``part`` in bytes. Its attribute ``tables``
        says which tables there are, with the number of runs.
    """
    model = ConcreteModel(f"nonlinear_{stationary.value}")
    book = Book(model)
    _WholeModel(problem, stationary, book).build(measure, cap)
    model.tables = dict(book.tables)
    return model


class _WholeModel:
    """One model on its way."""

    def __init__(self, problem: Problem, stationary: Stationary, book: Book) -> None:
        self.problem, self.stationary, self.book = problem, stationary, book
        self.layer, self.hardware = problem.layer, problem.hardware

    def build(self, measure: Measure, cap: int | None) -> None:
        """Add everything to the model."""
        layer, hardware, book = self.layer, self.hardware, self.book
        co, ci = self._cut("co", layer.out_channels), self._cut("ci", layer.in_channels)
        names = ("batch", *(f"axis{i}" for i in range(len(layer.axes))))
        cuts = [self._cut(n, a.out) for n, a in zip(names, self._axes, strict=True)]
        trips = Trips(co.trips, ci.trips, self._product("trips", "sp", [c.trips for c in cuts]))
        fetched, slid, largest = self._words(names, cuts)
        pixels = prod(c.tile for c in cuts)
        held = tile_bits(layer, hardware, co.tile, ci.tile, largest, pixels, self._labelled("ci", trips.ci))
        self._capacity(held)
        for group in Group:
            self._labelled(group.value, trips.of(group))
        moved = self._moved(trips, fetched, slid)
        bits = moved.bits(hardware)
        volume = book.variable("total", "traffic", compulsory_bits(layer, hardware) / 8, _high(bits) / 8)
        book.row("moves", "traffic", 8 * volume == _value(bits))
        terms = {"traffic": volume}
        spends = measure.spends if measure.weights.spent else None
        timed = bool(measure.weights.latency) or cap is not None
        if timed or spends is not None:
            cycles = self._cycles(co, ci, cuts, trips)
            if timed or (spends is not None and spends.rates(hardware).tick):
                terms["latency"] = self._latency(cycles, held, volume, self._setup(trips), cap)
            if spends is not None:
                terms[spends.name] = self._spent(spends, trips, cycles, bits, terms.get("latency", 0))
        book.model.objective = Objective(expr=self._aim(measure, terms))

    def _aim(self, measure: Measure, terms: dict[str, Any]) -> Any:
        """What is minimised, in the unit in which results are told."""
        if measure.quantity is not None:
            return terms[measure.quantity.name]
        quantities = self.problem.objective.quantities
        pairs = [(q, w) for q, w in zip(quantities, measure.weights, strict=True) if w]
        return sum(float(w * q.per_unit(self.hardware)) * terms[q.name] for q, w in pairs)

    @property
    def _axes(self) -> tuple[Axis, ...]:
        return (batch_axis(self.layer), *self.layer.axes)

    def _labelled(self, name: str, value: Number) -> Number:
        """A count whose binary, whether it is above one, has a name."""
        self.book.label = name
        _ = value > 1
        return value

    def _product(self, kind: str, index: str, values: list[Number]) -> Number:
        chosen = [value for value in values if isinstance(value, Whole)]
        whole = prod(values)
        return whole if len(chosen) < 2 else self.book.named(kind, index, whole)

    def _cut(self, name: str, extent: int) -> _Cut:
        """``(n - 1) t + 1 <= E <= n t``."""
        book = self.book
        tile, trips = book.whole("tile", name, 1, extent), book.whole("trips", name, 1, extent)
        if not isinstance(tile, Whole) or not isinstance(trips, Whole):
            return _Cut(1, 1, 1)
        before = (trips - 1) * tile
        book.row("covers", name, trips.value * tile.value >= extent)
        book.row("no_more", name, _value(before) + 1 <= extent)
        last = book.whole("last", name, 1, extent)
        book.row("last_is", name, _value(last) == extent - _value(before))
        return _Cut(trips, tile, last)

    def _words(self, names: tuple[str, ...], cuts: list[_Cut]) -> tuple[Number, Number, Number]:
        """Ifmap words of one pass, fetched and slid, of all channels; the largest tile, of one."""
        channels, book = self.layer.in_channels, self.book
        tables = [full_axis_table(axis) for axis in self._axes]
        fetched, longest = [], []
        for name, axis, cut, table in zip(names, self._axes, cuts, tables, strict=True):
            reach = axis.effective_kernel - axis.stride
            rest = [int(v) for v in table.fetched - reach * table.trips]
            words = cut.trips * reach + book.table("words", name, cut.tile, rest)
            fetched.append(book.named("words", name, words))
            reached = book.table("longest", name, cut.tile, [int(v) for v in table.largest])
            longest.append(book.named("longest", name, reached))
        whole = slid = self._product("words", "fetched", [channels, *fetched])
        ways = self._ways(fetched, tables)
        if ways:
            slid = self._product("words", "slid", [channels, self._one_of(ways)])
        return whole, slid, prod(longest)

    def _ways(self, fetched: list[Number], tables: list[AxisTable]) -> dict[str, Number]:
        """Words of one channel if tiles slide along an axis, for each on which neighbours share any.

        They fetch there only what the one before has not, in all the span of the axis.
        """
        if self.hardware.halo is not Halo.REUSE:
            return {}
        sharing = [i for i, axis in enumerate(self._axes) if i and axis.effective_kernel >= axis.stride]
        others = {i: [words for k, words in enumerate(fetched) if k != i] for i in sharing}
        return {f"axis{i - 1}": prod([int(tables[i].slid[0]), *others[i]]) for i in sharing}

    def _one_of(self, ways: dict[str, Number]) -> Number:
        """The words of the axis along which tiles slide."""
        if len(ways) == 1:
            return next(iter(ways.values()))
        slides = {axis: self.book.binary("slide", axis) for axis in ways}
        self.book.row("one_slides", "axes", sum(slide.core for slide in slides.values()) == 1)
        return sum(slides[axis] * self.book.named("slid", axis, words) for axis, words in ways.items())

    def _capacity(self, held: TensorBits) -> None:
        """What a tensor needs is within its part; the parts share the buffer."""
        book, given, buffer = self.book, self.problem.partition, self.hardware.buffer_bits
        book.label = "bank"
        need, parts = footprint(self.hardware, held), []
        for name in ("ifmap", "ofmap", "weights"):
            limit = getattr(given, name) if given is not None else buffer
            part = book.variable("part", name, 0, limit / 8)
            book.row("fits", name, _value(getattr(need, name)) <= 8 * part)
            parts.append(part)
        book.row("shares", "buffer", sum(parts) <= buffer / 8)

    def _moved(self, trips: Trips, fetched: Number, slid: Number) -> Traffic:
        """Words of each tensor."""
        self.book.label = "order"
        words = traffic(self.layer, self.stationary, trips, fetched, slid)
        return Traffic(*(self.book.named("moved", n, getattr(words, n)) for n in Traffic.__slots__))

    def _cycles(self, co: _Cut, ci: _Cut, cuts: list[_Cut], trips: Trips) -> Trips:
        """The factor of each group of loops in the compute cycles."""
        layer, hardware, found = self.layer, self.hardware, {}
        whole = {Group.CO: layer.out_channels, Group.CI: layer.in_channels, Group.SP: layer.pixels}
        for group, pieces in {Group.CO: [co], Group.CI: [ci], Group.SP: cuts}.items():
            self.book.label = group.value
            together = [(1, whole[group])]
            least = group_cycles(layer, hardware, group, 1, together)
            streams = array_passes(hardware, group, 1, 0) == 1
            tiles = together if streams else spatial_tiles(*map(list, zip(*pieces, strict=True)))
            cycles = group_cycles(layer, hardware, group, trips.of(group), tiles)
            found[group.value] = self.book.named("cycles", group.value, cycles, least)
        return Trips(**found)

    def _setup(self, trips: Trips) -> Any:
        """Cycles to set all transfers up."""
        self.book.label = "order"
        setup = setup_cycles(self.hardware, self.layer.groups, self.stationary, trips)
        return _value(setup if isinstance(setup, int) else self.book.named("setup", "transfers", setup))

    def _latency(self, cycles: Trips, held: TensorBits, volume: Any, setup: Any, cap: int | None) -> Any:
        """The array with the edge, and the transfer, at the same time or one after the other."""
        hardware, tick, book = self.hardware, self.hardware.tick, self.book
        compute = self.layer.groups * cycles.product
        per_byte = 8 * tick.per_bit / tick.per_cycle
        most = None if cap is None else cap / tick.per_cycle
        least = roofline_ticks(self.layer, hardware) / tick.per_cycle
        latency = book.variable("total", "latency", float(least), most)
        if hardware.double_buffered:
            edge = (
                _value(held.total) * (tick.per_bit / tick.per_cycle)
                + EDGE_TRANSFERS * hardware.transfer_cycles
            )
            book.row("computes", "latency", _value(compute) + edge <= latency)
            book.row("transfers", "latency", per_byte * volume + setup <= latency)
        else:
            book.row("in_turn", "latency", _value(compute) + per_byte * volume + setup <= latency)
        return latency

    def _spent(self, spends: Quantity, trips: Trips, cycles: Trips, bits: Number, latency: Any) -> Any:
        """Of multiply-accumulates, words at the array and at the DRAM, and of time."""
        hardware, layer, each = self.hardware, self.layer, spends.rates(self.hardware)
        passes = Trips(*(array_passes(hardware, g, trips.of(g), cycles.of(g)) for g in Group))
        array = _value(array_traffic(layer, layer.ifmap_reads, passes).bits(hardware))
        port, moved, mac = (n / each.per_unit for n in (each.port, each.moved, each.mac))
        time = each.tick * hardware.tick.per_cycle / each.per_unit
        spent = self.book.variable("total", spends.name, 0, None)
        done = port * array + moved * _value(bits)
        self.book.row("spends", spends.name, mac * layer.macs + done + time * latency <= spent)
        return spent


def _value(number: Any) -> Any:
    return number.value if isinstance(number, Whole) else number


def _high(number: Any) -> int:
    return number.high if isinstance(number, Whole) else int(number)
