"""The integer nonlinear program: all mappings of one loop order, every cost exact, for any MINLP solver.

The formulas are those of ``formulation.cost``, called with whole numbers of the model (``whole``) in place of
integers. So nothing is relaxed, sieved or listed: what such a solver proves, it proves of the map space.
"""

from __future__ import annotations

from math import prod

from pyomo.core.base import ConcreteModel, Objective

from dnns.axes import Axis
from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.cost import Trips, array_passes, array_traffic, group_cycles, tile_bits
from formulation.extents import AxisTable, batch_axis, full_axis_table, spatial_tiles
from formulation.hardware import Halo
from formulation.mapping import Group, Stationary
from formulation.pricing.objective import Measure
from formulation.problem import Problem
from formulation.program.nonlinear.machine import DimensionCut, MachineModel, Number, high_of, value_of
from formulation.program.nonlinear.whole import Book


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
    _LayerModel(problem, stationary, book).build(measure, cap)
    model.tables = dict(book.tables)
    return model


class _LayerModel(MachineModel):
    """One model on its way."""

    def __init__(self, problem: Problem, stationary: Stationary, book: Book) -> None:
        super().__init__(problem.layer, problem.hardware, problem.partition, stationary, book)
        self.layer = problem.layer

    def build(self, measure: Measure, cap: int | None) -> None:
        """Add everything to the model."""
        layer, hardware, book = self.layer, self.hardware, self.book
        co, ci = self.cut("co", layer.out_channels), self.cut("ci", layer.in_channels)
        names = ("batch", *(f"axis{i}" for i in range(len(layer.axes))))
        cuts = [self.cut(n, a.out) for n, a in zip(names, self._axes, strict=True)]
        trips = Trips(co.trips, ci.trips, self.product("trips", "sp", [c.trips for c in cuts]))
        fetched, slid, largest = self._words(names, cuts)
        pixels = prod(c.tile for c in cuts)
        held = tile_bits(layer, hardware, co.tile, ci.tile, largest, pixels, self.labelled("ci", trips.ci))
        self.capacity(held)
        for group in Group:
            self.labelled(group.value, trips.of(group))
        moved = self.moved(trips, fetched, slid)
        bits = moved.bits(hardware)
        volume = book.variable("total", "traffic", compulsory_bits(layer, hardware) / 8, high_of(bits) / 8)
        book.row("moves", "traffic", 8 * volume == value_of(bits))
        terms = {"traffic": volume}
        rates, timed = measure.rates(hardware), bool(measure.weights.latency) or cap is not None
        if timed or rates is not None:
            cycles = self._cycles(co, ci, cuts, trips)
            if timed or (rates is not None and rates.tick):
                compute, least = layer.groups * cycles.product, roofline_ticks(layer, hardware)
                terms["latency"] = self.latency(compute, held, volume, self.setup(trips), cap, least)
            if rates is not None:
                array, name = self._array(trips, cycles), measure.spends.name
                terms[name] = self.spent(name, rates, layer.macs, array, bits, terms.get("latency", 0))
        book.model.objective = Objective(expr=self.aim(measure, terms))

    @property
    def _axes(self) -> tuple[Axis, ...]:
        return (batch_axis(self.layer), *self.layer.axes)

    def _words(self, names: tuple[str, ...], cuts: list[DimensionCut]) -> tuple[Number, Number, Number]:
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
        whole = slid = self.product("words", "fetched", [channels, *fetched])
        ways = self._ways(fetched, tables)
        if ways:
            slid = self.product("words", "slid", [channels, self.one_of(ways)])
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

    def _cycles(self, co: DimensionCut, ci: DimensionCut, cuts: list[DimensionCut], trips: Trips) -> Trips:
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

    def _array(self, trips: Trips, cycles: Trips) -> Number:
        """Bits between buffer and array."""
        passes = Trips(*(array_passes(self.hardware, g, trips.of(g), cycles.of(g)) for g in Group))
        bits: Number = array_traffic(self.layer, self.layer.ifmap_reads, passes).bits(self.hardware)
        return bits
