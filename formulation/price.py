"""What a mapping costs in the end, of its words, cycles and tiles: latency, traffic, energy.

The only home of these formulas. ``Price`` is what an objective looks at: to give it one more quantity, add a
field, its formula in ``price_of``, and its entry in ``objective.QUANTITIES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from dnns.layer import Layer
from formulation.bursts import TensorPins
from formulation.cost import Num, TensorBits, Traffic, Trips, array_traffic
from formulation.hardware import Hardware
from formulation.mapping import Partition
from formulation.wide_ticks import WideTicks

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
    if hardware.double_buffered and hardware.transfer_setup:
        compute = compute + first * hardware.transfer_setup
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
    return int(transfer_ticks(hardware, bits, parts * hardware.transfer_setup))


def energy_quanta(hardware: Hardware, macs: int, array_bits: Num, traffic_bits: Num, latency: Num) -> Num:
    """Energy in quanta of ``hardware.quantum``.

    ``e_mac * MACs + e_sram * (array_bits + traffic_bits) + e_dram * traffic_bits + p_static * latency``: each
    bit to or from the DRAM is one into the buffer or out of it as well.

    Args:
        hardware: the machine.
        macs: multiply-accumulates.
        array_bits: between buffer and array.
        traffic_bits: between DRAM and buffer.
        latency: in ticks.
    """
    each = hardware.quantum
    moved = each.sram_bit * array_bits + (each.sram_bit + each.dram_bit) * traffic_bits
    return each.mac * macs + moved + (each.tick * latency if each.tick else 0)


@dataclass(frozen=True, slots=True)
class EnergyRates:
    """The energy of a layer's mappings, ``energy_quanta``, as a sum: it is linear in all that differs.

    Attributes:
        fixed: quanta that no mapping changes: of the MACs, less the first read of partial sums.
        passes: quanta of one pass between buffer and array, by the group that the tensor is independent of.
        bit: quanta of a bit between DRAM and buffer.
        tick: quanta of a tick.
    """

    fixed: int
    passes: Trips
    bit: int
    tick: int

    @classmethod
    def of(cls, hardware: Hardware, layer: Layer) -> EnergyRates:
        """Those of a layer: what one pass, bit or tick adds to none."""

        def spent(co: int, ci: int, sp: int) -> int:
            array = array_traffic(layer, layer.ifmap_reads, Trips(co, ci, sp)).bits(hardware)
            return int(energy_quanta(hardware, layer.macs, array, 0, 0))

        none, each = spent(0, 0, 0), hardware.quantum
        passes = Trips(*(spent(*one) - none for one in ((1, 0, 0), (0, 1, 0), (0, 0, 1))))
        return cls(none, passes, each.sram_bit + each.dram_bit, each.tick)

    def quanta(self, moved: Trips, traffic_bits: Num, latency: Num) -> Num:
        """The energy, in quanta.

        Args:
            moved: passes of each tensor between buffer and array, as of ``cost.array_traffic``.
            traffic_bits: between DRAM and buffer.
            latency: in ticks.
        """
        rate = self.passes
        array = rate.co * moved.co + rate.ci * moved.ci + rate.sp * moved.sp
        spent = array + self.bit * traffic_bits
        return (spent + self.tick * latency if self.tick else spent) + self.fixed


class Price(NamedTuple):
    """The quantities of a mapping, or of many, or bounds on them: all that an objective looks at.

    Attributes:
        latency: in ticks of ``hardware.tick``. ``WideTicks`` where 64 bits might not hold them: they are
            compared, picked and sorted like an array, and no more.
        traffic: in bits.
        energy: in quanta of ``hardware.quantum``, Python's integers where 64 bits might not hold them; 0
            where no objective asks for it.
    """

    latency: Num
    traffic: Num
    energy: Num

    @classmethod
    def of(cls, latency: Num, traffic: Num, energy: Num = None) -> Price:
        """Of the same shape each; the energy is left out if it is not given."""
        if energy is None:
            energy = np.zeros(traffic.shape, np.int64) if isinstance(traffic, np.ndarray) else 0
        return cls(latency, traffic, energy)

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
        energy: in quanta of ``hardware.quantum``.
        pins: bits across the DRAM's pins per tensor, where runs take whole bursts; else None.
    """

    traffic: Traffic
    traffic_bits: int
    compute_cycles: int
    latency_ticks: int
    latency_cycles: Fraction
    footprint: Partition
    array: Traffic
    energy: int
    pins: TensorPins | None = None

    def moved_bits(self, hardware: Hardware) -> dict[str, int]:
        """Bits between DRAM and buffer by tensor."""
        return self.traffic.by_tensor(hardware) if self.pins is None else self.pins.by_tensor()

    @property
    def traffic_bytes(self) -> Fraction:
        """Bytes moved; whole unless a width is not a multiple of 8."""
        return Fraction(self.traffic_bits, 8)
