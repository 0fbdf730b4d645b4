"""What integer nonlinear programs of any operator have in common: cuts, buffer, traffic, latency."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

from formulation.cost import TensorBits, Tensors, Traffic, Trips, footprint, setup_cycles, traffic
from formulation.hardware import Hardware, Rates
from formulation.mapping import Partition, Stationary
from formulation.pricing.objective import Measure
from formulation.pricing.price import EDGE_TRANSFERS
from formulation.program.nonlinear.whole import Book, Whole

Number = Whole | int


class DimensionCut(NamedTuple):
    """A dimension cut into tiles: trips, tile size, the last tile."""

    trips: Number
    tile: Number
    edge: Number


class MachineModel:
    """One model on its way.

    Args:
        tensors: give the groups, and the words of weights and ofmap.
        hardware: the machine.
        partition: the buffer's parts, if they are given.
        stationary: the loop order.
        book: of the model.
    """

    def __init__(
        self,
        tensors: Tensors,
        hardware: Hardware,
        partition: Partition | None,
        stationary: Stationary,
        book: Book,
    ) -> None:
        self.tensors, self.hardware, self.partition = tensors, hardware, partition
        self.stationary, self.book = stationary, book

    def aim(self, measure: Measure, terms: dict[str, Any]) -> Any:
        """What is minimised, in the unit in which results are told."""
        if measure.quantity is not None:
            return terms[measure.quantity.name]
        pairs = [(q, w) for q, w in zip(measure.quantities, measure.weights, strict=True) if w]
        return sum(float(w * q.per_unit(self.hardware)) * terms[q.name] for q, w in pairs)

    def labelled(self, name: str, value: Number) -> Number:
        """A count whose binary, whether it is above one, has a name."""
        self.book.label = name
        _ = value > 1
        return value

    def product(self, kind: str, index: str, values: list[Number]) -> Number:
        """A product, under a name if it is one of several variables."""
        chosen = [value for value in values if isinstance(value, Whole)]
        whole = prod(values)
        return whole if len(chosen) < 2 else self.book.named(kind, index, whole)

    def cut(self, name: str, extent: int, tile: Number | None = None) -> DimensionCut:
        """``(n - 1) t + 1 <= E <= n t``, of a tile of its own or a given one."""
        book = self.book
        tile = book.whole("tile", name, 1, extent) if tile is None else tile
        trips = book.whole("trips", name, 1, extent)
        if not isinstance(tile, Whole) or not isinstance(trips, Whole):
            return DimensionCut(trips, tile, 1)
        before = (trips - 1) * tile
        book.row("covers", name, trips.value * tile.value >= extent)
        book.row("no_more", name, value_of(before) + 1 <= extent)
        last = book.whole("last", name, 1, extent)
        book.row("last_is", name, value_of(last) == extent - value_of(before))
        return DimensionCut(trips, tile, last)

    def one_of(self, ways: dict[str, Number]) -> Number:
        """The words of the axis along which tiles slide."""
        if len(ways) == 1:
            return next(iter(ways.values()))
        slides = {axis: self.book.binary("slide", axis) for axis in ways}
        self.book.row("one_slides", "axes", sum(slide.core for slide in slides.values()) == 1)
        return sum(slides[axis] * self.book.named("slid", axis, words) for axis, words in ways.items())

    def capacity(self, held: TensorBits) -> None:
        """What a tensor needs is within its part; the parts share the buffer."""
        book, given, buffer = self.book, self.partition, self.hardware.buffer_bits
        book.label = "bank"
        need, parts = footprint(self.hardware, held), []
        for name in ("ifmap", "ofmap", "weights"):
            limit = getattr(given, name) if given is not None else buffer
            part = book.variable("part", name, 0, limit / 8)
            book.row("fits", name, value_of(getattr(need, name)) <= 8 * part)
            parts.append(part)
        book.row("shares", "buffer", sum(parts) <= buffer / 8)

    def moved(self, trips: Trips, fetched: Number, slid: Number) -> Traffic:
        """Words of each tensor."""
        self.book.label = "order"
        words = traffic(self.tensors, self.stationary, trips, fetched, slid)
        return Traffic(*(self.book.named("moved", n, getattr(words, n)) for n in Traffic.__slots__))

    def setup(self, trips: Trips) -> Any:
        """Cycles to set all transfers up."""
        self.book.label = "order"
        setup = setup_cycles(self.hardware, self.tensors.groups, self.stationary, trips)
        return value_of(setup if isinstance(setup, int) else self.book.named("setup", "transfers", setup))

    def latency(
        self, compute: Number, held: TensorBits, volume: Any, setup: Any, cap: int | None, least: Fraction
    ) -> Any:
        """The array with the edge, and the transfer, at the same time or one after the other.

        Args:
            compute: cycles of the array.
            held: bits of the largest tiles.
            volume: traffic [bytes].
            setup: cycles to set all transfers up.
            cap: the greatest latency [ticks]; None for none.
            least: a latency that it is known to have at least [ticks].
        """
        hardware, tick, book = self.hardware, self.hardware.tick, self.book
        per_byte = 8 * tick.per_bit / tick.per_cycle
        most = None if cap is None else cap / tick.per_cycle
        latency = book.variable("total", "latency", float(least / tick.per_cycle), most)
        if hardware.double_buffered:
            edge = (
                value_of(held.total) * (tick.per_bit / tick.per_cycle)
                + EDGE_TRANSFERS * hardware.transfer_cycles
            )
            book.row("computes", "latency", value_of(compute) + edge <= latency)
            book.row("transfers", "latency", per_byte * volume + setup <= latency)
        else:
            book.row("in_turn", "latency", value_of(compute) + per_byte * volume + setup <= latency)
        return latency

    def spent(self, name: str, rates: Rates, macs: int, array: Number, bits: Number, latency: Any) -> Any:
        """Of multiply-accumulates, bits at the array and at the DRAM, and of time, under a name."""
        port, moved, mac = (n / rates.per_unit for n in (rates.port, rates.moved, rates.mac))
        time = rates.tick * self.hardware.tick.per_cycle / rates.per_unit
        spent = self.book.variable("total", name, 0, None)
        done = port * value_of(array) + moved * value_of(bits)
        self.book.row("spends", name, mac * macs + done + time * latency <= spent)
        return spent


def value_of(number: Any) -> Any:
    """The expression of a number that is chosen; the number itself where there is no choice."""
    return number.value if isinstance(number, Whole) else number


def high_of(number: Any) -> int:
    """The greatest that a number may be."""
    return number.high if isinstance(number, Whole) else int(number)
