"""What a mapping costs in the end, of its words, cycles and tiles: latency, traffic, a sum of all it does.

The only home of these formulas. ``Price`` is what an objective looks at. What is spent is a quantity that
sums what a mapping does (``hardware.Rates.of``), as energy is: another one is an entry of ``objective.SUMS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from dnns.layer import Layer
from formulation.cost import Num, TensorBits, Traffic, Trips, array_traffic
from formulation.hardware import Hardware, Rates
from formulation.mapping import Partition
from formulation.pricing.bursts import TensorPins
from formulation.pricing.wide_ticks import WideTicks

#: Transfers of the edge: the first ifmap tile, the first weight tile and the last ofmap tile.
EDGE_TRANSFERS = 3


def latency_ticks(
    hardware: Hardware,
    compute: Num,
    traffic_bits: Num,
    tile: TensorBits,
    setup: Num = 0,
    *,
    first: Num = EDGE_TRANSFERS,
    wide: bool = False,
) -> Num:
    """Latency in ticks of ``hardware.tick``.

    Double-buffered: ``max(compute + edge, transfer)``, where the edge moves the first ifmap and weight
    tile in and the last ofmap tile out, each taken as the largest. Otherwise ``compute + transfer``. Setting
    a transfer up belongs to it, in ``transfer`` as in the edge.

    Args:
        hardware: the machine.
        compute: cycles of the array.
        traffic_bits: bits moved.
        tile: bits of the largest tiles.
        setup: cycles to set all transfers up (``cost.setup_cycles``).
        first: transfers of the edge.
        wide: whether 64 bits might not hold the ticks of arrays, so that they are ``WideTicks``.
    """
    array = array_ticks(hardware, compute, tile, first=first, wide=wide)
    return overlapped(hardware, array, traffic_bits, setup)


def array_ticks(
    hardware: Hardware, compute: Num, tile: TensorBits, *, first: Num = EDGE_TRANSFERS, wide: bool = False
) -> Num:
    """Ticks of computing, with the edge if double-buffered; arguments as of ``latency_ticks``."""
    edge = tile.total if hardware.double_buffered else 0
    if hardware.double_buffered and hardware.transfer_cycles:
        compute = compute + first * hardware.transfer_cycles
    return WideTicks(compute, edge, hardware.tick) if wide else hardware.tick.of(compute, edge)


def overlapped(hardware: Hardware, array: Num, traffic_bits: Num, setup: Num = 0) -> Num:
    """Latency from the array's ticks and the transfers': the greater if double-buffered, else the sum."""
    if isinstance(array, WideTicks):
        if not hardware.double_buffered:
            return array.after(traffic_bits, setup)
        return np.maximum(array, WideTicks(setup, traffic_bits, hardware.tick))
    transfer = transfer_ticks(hardware, traffic_bits, setup)
    if not hardware.double_buffered:
        return array + transfer
    return max(array, transfer) if isinstance(array, int) else np.maximum(array, transfer)


def transfer_ticks(hardware: Hardware, traffic_bits: Num, setup: Num = 0) -> Num:
    """Ticks of the DMA engine: bits, and cycles to set the transfers up."""
    bits = traffic_bits * hardware.tick.per_bit
    return bits if isinstance(setup, int) and not setup else bits + setup * hardware.tick.per_cycle


def written_bits(hardware: Hardware, words: int) -> int:
    """Bits of outputs that no tap reaches, written as one run."""
    return -(-words * hardware.bits.ofmap // hardware.burst_bits) * hardware.burst_bits


def written_ticks(hardware: Hardware, bits: int, parts: int = 1) -> int:
    """Ticks to write outputs that no tap reaches, each part of them by one transfer."""
    return int(transfer_ticks(hardware, bits, parts * hardware.transfer_cycles))


@dataclass(frozen=True, slots=True)
class LayerRates:
    """What a layer's mappings spend, ``Rates.of``, as a sum: it is linear in all that differs.

    Attributes:
        fixed: quanta that no mapping changes: of the MACs, less the first read of partial sums.
        passes: quanta of one pass between buffer and array, by the group that the tensor is independent of.
        moved: quanta of a bit between DRAM and buffer.
        tick: quanta of a tick.
    """

    fixed: int
    passes: Trips
    moved: int
    tick: int

    @classmethod
    def of(cls, hardware: Hardware, layer: Layer, rates: Rates) -> LayerRates:
        """Those of a layer: what one pass, bit or tick adds to none."""

        def spent(co: int, ci: int, sp: int) -> int:
            array = array_traffic(layer, layer.ifmap_reads, Trips(co, ci, sp)).bits(hardware)
            return int(rates.of(layer.macs, array, 0, 0))

        none = spent(0, 0, 0)
        passes = Trips(*(spent(*one) - none for one in ((1, 0, 0), (0, 1, 0), (0, 0, 1))))
        return cls(none, passes, rates.moved, rates.tick)

    def quanta(self, moved: Trips, traffic_bits: Num, latency: Num) -> Num:
        """What is spent, in quanta.

        Args:
            moved: passes of each tensor between buffer and array, as of ``cost.array_traffic``.
            traffic_bits: between DRAM and buffer.
            latency: in ticks.
        """
        rate = self.passes
        array = rate.co * moved.co + rate.ci * moved.ci + rate.sp * moved.sp
        spent = array + self.moved * traffic_bits
        return (spent + self.tick * latency if self.tick else spent) + self.fixed


class Price(NamedTuple):
    """The quantities of a mapping, or of many, or bounds on them: all that an objective looks at.

    Attributes:
        latency: in ticks of ``hardware.tick``. ``WideTicks`` where 64 bits might not hold them: they are
            compared, picked and sorted like an array, and no more.
        traffic: in bits.
        spent: in quanta of the quantity that the objective sums (``Posed.rates``), Python's integers where
            64 bits might not hold them; 0 where it sums none.
    """

    latency: Num
    traffic: Num
    spent: Num

    @classmethod
    def of(cls, latency: Num, traffic: Num, spent: Num = None) -> Price:
        """Of the same shape each; what is spent is left out if it is not given."""
        if spent is None:
            spent = np.zeros(traffic.shape, np.int64) if isinstance(traffic, np.ndarray) else 0
        return cls(latency, traffic, spent)

    def take(self, index: Num) -> Price:
        """The prices at the given positions."""
        return Price(*(values[index] for values in self))

    def one(self, place: int) -> Price:
        """The price at one position, as integers."""
        return Price(*(int(values[place]) for values in self))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a mapping costs, exactly; all groups, one run.

    Attributes:
        traffic: words moved per tensor.
        traffic_bits: the same in bits, all tensors.
        compute_cycles: cycles in which the array works.
        latency_ticks: latency in ``hardware.tick``.
        latency_cycles: latency in cycles.
        footprint: buffer taken by each tensor [bits].
        array: words between buffer and array per tensor.
        macs: multiply-accumulates.
        pins: bits across the DRAM's pins per tensor, where runs take whole bursts; else None.
    """

    traffic: Traffic
    traffic_bits: int
    compute_cycles: int
    latency_ticks: int
    latency_cycles: Fraction
    footprint: Partition
    array: Traffic
    macs: int
    pins: TensorPins | None = None

    def spent(self, hardware: Hardware, rates: Rates) -> int:
        """Of a quantity that sums what a mapping does, on the machine of these costs [quanta]."""
        return int(rates.of(self.macs, self.array.bits(hardware), self.traffic_bits, self.latency_ticks))

    def energy_pj(self, hardware: Hardware) -> Fraction:
        """Energy on the machine of these costs [pJ]."""
        return hardware.quantum.told(self.spent(hardware, hardware.quantum))

    def moved_bits(self, hardware: Hardware) -> dict[str, int]:
        """Bits between DRAM and buffer by tensor."""
        return self.traffic.by_tensor(hardware) if self.pins is None else self.pins.by_tensor()

    @property
    def traffic_bytes(self) -> Fraction:
        """Bytes moved; whole unless a width is not a multiple of 8."""
        return Fraction(self.traffic_bits, 8)
