"""The machine that runs the tiles: an array, a buffer of three parts, and a DMA engine; its own statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from solvers.scenario.hardware import HardwareModel, exact


@dataclass(frozen=True, slots=True)
class WordWidths:
    """Bits of a word of each tensor; ``partial_sums`` are ofmap words that are not final yet."""

    ifmap: int
    weights: int
    ofmap: int
    partial_sums: int


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What runs the tiles. Time is counted in ticks that make a cycle and a bit's transfer whole numbers.

    Attributes:
        rows: of the array.
        cols: of the array.
        dataflow: the operand that stays in the array: ``output``, ``weight`` or ``input``.
        fill: cycles to fill and drain the array in each pass.
        halves: tiles of a tensor that its part of the buffer holds: 2 if double-buffered.
        slides: whether a tile may take the ifmap words that it shares with the one before from the buffer.
        buffer_bits: capacity.
        bank_bits: granularity of the parts.
        ticks_per_cycle: of the array.
        ticks_per_bit: of the DMA engine.
        widths: of words.
        setup: cycles in which the DMA engine sets a transfer up, and moves nothing.
        burst_bits: of which each run that is transferred takes whole ones; 1 for none.
        channels_last: whether a pixel's channels lie side by side in the DRAM, not a channel's pixels.
    """

    rows: int
    cols: int
    dataflow: str
    fill: int
    halves: int
    slides: bool
    buffer_bits: int
    bank_bits: int
    ticks_per_cycle: int
    ticks_per_bit: int
    widths: WordWidths
    setup: int = 0
    burst_bits: int = 1
    channels_last: bool = False

    @classmethod
    def of(cls, fields: HardwareModel, bits: Mapping[str, int]) -> Accelerator:
        """The machine of a result.

        Args:
            fields: the result's machine.
            bits: the widths of a layer's words.
        """
        side = fields.sa_size
        rows, cols = (side, side) if isinstance(side, int) else side
        rate = 8 * exact(fields.memory_bandwidth) / exact(fields.frequency)  # bits a cycle
        bank = 8 * fields.bank_bytes if fields.bank_bytes else 1
        return cls(
            rows=rows,
            cols=cols,
            dataflow=fields.dataflow,
            fill=rows + cols - 2 if fields.fill == "exposed" else 0,
            halves=2 if fields.double_buffered else 1,
            slides=fields.halo == "reuse",
            buffer_bits=8 * fields.bufsize // bank * bank,
            bank_bits=bank,
            ticks_per_cycle=rate.numerator,
            ticks_per_bit=rate.denominator,
            widths=WordWidths(**{name: bits[name] for name in WordWidths.__slots__}),
            setup=fields.transfer_setup,
            burst_bits=8 * fields.burst_bytes if fields.burst_bytes else 1,
            channels_last=fields.layout == "NHWC",
        )

    @property
    def setup_ticks(self) -> int:
        """Ticks to set a transfer up."""
        return self.setup * self.ticks_per_cycle

    def array_cycles(self, pixels: int, filters: int, channels: int, taps: int) -> int:
        """Cycles of one tile: passes over the array, each of what streams.

        Args:
            pixels: output positions.
            filters: output channels.
            channels: input channels.
            taps: of the kernel.
        """
        if not (pixels and filters):
            return 0
        reduction = channels * taps
        down, across, streams = {
            "output": (pixels, filters, reduction),
            "weight": (reduction, filters, pixels),
            "input": (reduction, pixels, filters),
        }[self.dataflow]
        return _pieces(down, self.rows) * _pieces(across, self.cols) * (streams + self.fill)

    def part_bits(self, tile_bits: int) -> int:
        """The part of the buffer that a tensor needs for its largest tile, in whole banks."""
        return _pieces(self.halves * tile_bits, self.bank_bits) * self.bank_bits

    def cycles(self, ticks: int) -> Fraction:
        """Ticks as cycles."""
        return Fraction(ticks, self.ticks_per_cycle)


def _pieces(length: int, size: int) -> int:
    return (length + size - 1) // size
