"""The machine: a systolic array, one SRAM buffer and a DRAM channel, with units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import Any


class Dataflow(StrEnum):
    """Which operand stays in the array's processing elements."""

    OUTPUT = "output"
    WEIGHT = "weight"
    INPUT = "input"


class Halo(StrEnum):
    """What neighbouring tiles do with the ifmap words they share."""

    REFETCH = "refetch"
    REUSE = "reuse"


class Fill(StrEnum):
    """Whether the array's fill and drain overlap with computing."""

    OVERLAPPED = "overlapped"
    EXPOSED = "exposed"


class Layout(StrEnum):
    """How feature maps lie in the DRAM, outermost dimension first."""

    NCHW = "NCHW"
    NHWC = "NHWC"


@dataclass(frozen=True, slots=True)
class BitWidths:
    """Bits of a word of each tensor; ``partial_sums`` are ofmap words that are not final yet.

    Raises:
        ValueError: if a width is below one, or partial sums are narrower than the ofmap.
    """

    ifmap: int = 16
    weights: int = 16
    ofmap: int = 16
    partial_sums: int = 16

    def __post_init__(self) -> None:
        if min(self.ifmap, self.weights, self.ofmap) < 1:
            raise ValueError("bit widths must be at least 1")
        if self.partial_sums < self.ofmap:
            raise ValueError(
                f"partial_sums is {self.partial_sums} bits, must be at least the ofmap's {self.ofmap}"
            )

    def to_dict(self) -> dict[str, int]:
        """The widths by tensor."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def grain(self) -> int:
        """Bits of which every traffic is a multiple: partial sums move out and in."""
        return gcd(self.ifmap, self.weights, self.ofmap, 2 * self.partial_sums)

    @classmethod
    def uniform(cls, bits: int) -> BitWidths:
        """The same width for all tensors."""
        return cls(bits, bits, bits, bits)


@dataclass(frozen=True, slots=True)
class Energy:
    """What the machine takes for what it does; exact. Defaults: 45 nm, 0.9 V (Horowitz, ISSCC 2014).

    Attributes:
        mac: a multiply-accumulate [pJ]; of 16 bit: a quarter of a 32-bit product's 3.1, and 0.05 to add.
        sram: a bit into the buffer or out of it [pJ/bit]; 100 pJ for 64 bits of 1 MB.
        dram: a bit to or from the DRAM [pJ/bit]; 1.3 nJ for 64 bits, the lesser of the source's two.
        static: power taken whatever is done [mW].

    Raises:
        ValueError: if one is negative, or that of the DRAM is not above 0.
    """

    mac: Fraction = Fraction(33, 40)
    sram: Fraction = Fraction(25, 16)
    dram: Fraction = Fraction(325, 16)
    static: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 0:
                raise ValueError(f"energy.{name} is {getattr(self, name)}, must be at least 0")
        if not self.dram:
            raise ValueError("energy.dram is 0, must be above 0")


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine. The defaults are the reference machine of the documentation.

    Attributes:
        rows: of the array of processing elements.
        cols: of the array.
        buffer_bytes: SRAM for all three tensors [bytes].
        bandwidth: of the DRAM [GB/s], exact.
        frequency: of the array [GHz], exact.
        bits: word widths [bits].
        dataflow: of the array.
        bank_bytes: granularity of the buffer's parts [bytes], None for single bytes.
        double_buffered: whether half of each part is filled while the other is used.
        halo: refetch or reuse between neighbouring tiles.
        fill: whether filling and draining the array costs cycles.
        energy: what its parts take.
        streaming: whether tiles may run in inner steps, of which one tensor is held in part.
        transfer_setup: cycles to set up a transfer, in which the DMA engine moves nothing.
        burst_bytes: each contiguous run that is transferred takes whole bursts of so many [bytes]; None for
            single bits.
        layout: what is contiguous; it matters with bursts alone.

    Raises:
        ValueError: if a quantity is not positive, the buffer holds no whole bank, a set-up is negative, or
            windows slide where transfers take bursts.
    """

    rows: int = 16
    cols: int = 16
    buffer_bytes: int = 1_572_864
    bandwidth: Fraction = Fraction(128, 5)
    frequency: Fraction = Fraction(1)
    bits: BitWidths = field(default_factory=BitWidths)
    dataflow: Dataflow = Dataflow.OUTPUT
    bank_bytes: int | None = None
    double_buffered: bool = True
    halo: Halo = Halo.REFETCH
    fill: Fill = Fill.OVERLAPPED
    energy: Energy = field(default_factory=Energy)
    streaming: bool = False
    transfer_setup: int = 0
    burst_bytes: int | None = None
    layout: Layout = Layout.NCHW

    def __post_init__(self) -> None:
        for name in ("rows", "cols", "buffer_bytes", "bandwidth", "frequency"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, must be above 0")
        if self.bank_bytes is not None and not 1 <= self.bank_bytes <= self.buffer_bytes:
            raise ValueError(f"bank_bytes is {self.bank_bytes}, must be from 1 to buffer_bytes")
        if self.transfer_setup < 0:
            raise ValueError(f"transfer_setup is {self.transfer_setup}, must be at least 0")
        if self.burst_bytes is not None and self.burst_bytes < 1:
            raise ValueError(f"burst_bytes is {self.burst_bytes}, must be at least 1")
        if self.burst_bytes is not None and self.halo is Halo.REUSE:
            raise ValueError(
                "burst_bytes does not count the bursts of a sliding window, must go with halo refetch"
            )
        if self.streaming and (self.transfer_setup or self.burst_bytes):
            raise ValueError(
                "transfer_setup and burst_bytes do not count sub-tiles, must go without streaming"
            )

    def __hash__(self) -> int:
        """Of what most machines differ in; a fraction takes long to hash."""
        rate = self.bandwidth.numerator, self.frequency.numerator
        return hash((self.rows, self.cols, self.buffer_bytes, *rate, self.bits.ifmap, self.bits.weights))

    @property
    def bytes_per_cycle(self) -> Fraction:
        """DRAM bytes per array cycle: bandwidth / frequency."""
        return Fraction(self.bandwidth) / Fraction(self.frequency)

    @property
    def tick(self) -> Tick:
        """The unit of time in which every latency is an integer."""
        return _tick(self.bandwidth.as_integer_ratio(), self.frequency.as_integer_ratio())

    @property
    def quantum(self) -> Rates:
        """Energy, in a quantum such that whatever takes energy takes a whole number of it."""
        return _energy(self)

    @property
    def for_tables(self) -> Hardware:
        """With the default buffer, DRAM rate and energies, on which no table of tiles depends."""
        return _for_tables(self)

    @property
    def fill_cycles(self) -> int:
        """Cycles to fill and drain the array once: ``rows + cols - 2``, 0 if they overlap.

        As SCALE-Sim (Samajdar et al., ISPASS 2020) counts an output-stationary array; of the others it
        charges ``rows`` more to load what stays, which here is hidden behind the pass before.
        """
        return self.rows + self.cols - 2 if self.fill is Fill.EXPOSED else 0

    @property
    def copies(self) -> int:
        """Tiles of a tensor that the buffer holds at once: 2 if double-buffered."""
        return 2 if self.double_buffered else 1

    @property
    def transfer_cycles(self) -> int:
        """Cycles of each transfer in which the DMA engine moves nothing."""
        return self.transfer_setup

    @property
    def burst_bits(self) -> int:
        """What a run that is transferred is rounded up to [bits]; 1 without bursts."""
        return 8 * self.burst_bytes if self.burst_bytes else 1

    @property
    def bank_bits(self) -> int:
        """Granularity of the buffer's parts [bits]; 1 without banks."""
        return 8 * self.bank_bytes if self.bank_bytes else 1

    @property
    def buffer_bits(self) -> int:
        """Usable buffer [bits]: whole banks."""
        return 8 * self.buffer_bytes // self.bank_bits * self.bank_bits


_PLAIN = Hardware()
_NOT_IN_TABLES = ("buffer_bytes", "bandwidth", "frequency", "bank_bytes", "energy")


@lru_cache(maxsize=256)
def _for_tables(machine: Hardware) -> Hardware:
    return replace(machine, **{name: getattr(_PLAIN, name) for name in _NOT_IN_TABLES})


@dataclass(frozen=True, slots=True)
class Tick:
    """A unit of time such that cycles and the transfer of one bit are both whole numbers of it.

    Attributes:
        per_cycle: ticks of one array cycle.
        per_bit: ticks to transfer one bit.
    """

    per_cycle: int
    per_bit: int

    def cycles(self, ticks: int) -> Fraction:
        """Ticks as cycles."""
        return Fraction(ticks, self.per_cycle)

    def of(self, cycles: Any, bits: Any) -> Any:
        """Ticks of array cycles and of the transfer of bits after each other; of integers of one kind."""
        return cycles * self.per_cycle + bits * self.per_bit


_Ratio = tuple[int, int]  # by which answers are kept, as a fraction takes long to hash


@lru_cache(maxsize=256)
def _tick(bandwidth: _Ratio, frequency: _Ratio) -> Tick:
    rate = 8 * Fraction(*bandwidth) / Fraction(*frequency)  # bits per cycle
    return Tick(rate.numerator, rate.denominator)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a quantity takes of each thing that a mapping does, in quanta of it: whole numbers.

    Attributes:
        per_unit: quanta of one unit that it is told in.
        mac: of a multiply-accumulate.
        port: of a bit between buffer and array.
        moved: of a bit between DRAM and buffer, both sides counted.
        tick: of a tick of time, whatever is done.
    """

    per_unit: int
    mac: int
    port: int
    moved: int
    tick: int

    def of(self, macs: Any, ports: Any, bits: Any, ticks: Any) -> Any:
        """Quanta of so much done: ``mac * MACs + port * bits + moved * bits + tick * ticks``.

        Args:
            macs: multiply-accumulates.
            ports: bits between buffer and array.
            bits: bits between DRAM and buffer.
            ticks: latency in ticks of ``Hardware.tick``; of no matter where ``tick`` is 0.
        """
        done = self.port * ports + self.moved * bits
        return self.mac * macs + done + (self.tick * ticks if self.tick else 0)

    def told(self, quanta: int | Fraction) -> Fraction:
        """Quanta in the unit that they are told in."""
        return Fraction(quanta, self.per_unit)


@lru_cache(maxsize=256)
def _energy(machine: Hardware) -> Rates:
    each = machine.energy
    per_tick = Fraction(each.static) / Fraction(machine.frequency) / machine.tick.per_cycle  # pJ: mW / GHz
    mac, sram, dram = map(Fraction, (each.mac, each.sram, each.dram))
    rates = (
        mac,
        sram,
        sram + dram,
        per_tick,
    )  # a bit that moves passes the SRAM as well
    per_pj = lcm(*(rate.denominator for rate in rates))
    return Rates(per_pj, *(int(rate * per_pj) for rate in rates))
