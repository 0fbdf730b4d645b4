"""One mapping run on its machine: what moved, what was held, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from solvers.schedules.simulation.clock import START, Pace, Unwritten
from solvers.schedules.simulation.machine import Accelerator
from solvers.schedules.simulation.nest import Nest
from solvers.schedules.simulation.plain import plain_run
from solvers.schedules.simulation.runs import StoredTensor
from solvers.schedules.simulation.skipping import SkippingRun
from solvers.schedules.simulation.totals import LargestTiles, MovedTotals


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """What one run of a mapping did, all groups.

    Attributes:
        machine: that ran it.
        moved: words, cycles, steps.
        largest: bits of the largest tiles.
        ticks: from the first fetch to the last write.
        first: ticks until the array begins.
        last: ticks after the array has ended.
    """

    machine: Accelerator
    moved: MovedTotals
    largest: LargestTiles
    ticks: int
    first: int
    last: int

    @property
    def latency_cycles(self) -> Fraction:
        """From the first fetch to the last write."""
        return self.machine.cycles(self.ticks)

    @property
    def first_cycles(self) -> Fraction:
        """Until the first tiles are there."""
        return self.machine.cycles(self.first)

    @property
    def last_cycles(self) -> Fraction:
        """From the array's last cycle to the last write."""
        return self.machine.cycles(self.last)

    @property
    def waiting_cycles(self) -> Fraction:
        """That the array waits for tiles between its first cycle and its last."""
        return self.latency_cycles - self.first_cycles - self.last_cycles - self.moved.cycles

    @property
    def traffic_bits(self) -> int:
        """Between DRAM and buffer."""
        return self.moved.bits

    @property
    def part_bits(self) -> dict[str, int]:
        """What each tensor takes of the buffer at most, all halves, in whole banks."""
        return {name: self.machine.part_bits(getattr(self.largest, name)) for name in LargestTiles.__slots__}

    @property
    def expected_cycles(self) -> Fraction:
        """The model's latency of such a run.

        Double-buffered the greater of the array's cycles, with the first tiles and the last besides, each as
        large as the largest, and of all transfers, set-ups included; otherwise both, one after another.
        """
        machine = self.machine
        array = self.moved.cycles * machine.ticks_per_cycle
        transfers = self.traffic_bits * machine.ticks_per_bit + self.moved.transfers * machine.setup_ticks
        tiles = [getattr(self.largest, name) for name in LargestTiles.__slots__]
        ends = sum(tiles) * machine.ticks_per_bit + len(tiles) * machine.setup_ticks
        return machine.cycles(max(array + ends, transfers) if machine.halves == 2 else array + transfers)


def run_nest(nest: Nest, *, in_pieces: bool = False, every_step: bool = False) -> SimulatedRun:
    """Run a mapping.

    Args:
        nest: its loops.
        in_pieces: whether ofmap tiles that stay are written piece by piece.
        every_step: whether to run it step by step; nothing is different but the time that it takes.
    """
    pace = Pace.of(nest, in_pieces=in_pieces)
    stretch = plain_run(nest, pace) if every_step else SkippingRun(nest, pace).whole()
    moved = stretch.moved
    for tile in pace.last(stretch.unwritten):
        moved += MovedTotals.of_written(tile)
    (end,), (done,) = pace.end(stretch.clock, stretch.unwritten), stretch.clock.array
    step = nest.step((0,) * len(nest.loops), nest.start)
    (begun,) = pace.step(START, step, Unwritten()).array
    first = int(begun) - step.cycles * pace.machine.ticks_per_cycle
    return SimulatedRun(pace.machine, moved, stretch.largest, int(end), first, int(end - done))


def run_writing(machine: Accelerator, words: int) -> SimulatedRun:
    """Write words that nothing is computed for: zeros."""
    bits = StoredTensor(("words",), frozenset()).bits(
        {"words": words}, machine.widths.ofmap, machine.burst_bits
    )
    ticks = bits * machine.ticks_per_bit + machine.setup_ticks
    moved = MovedTotals(ofmap_write=words, final=words, transfers=1, bits=bits)
    return SimulatedRun(machine, moved, LargestTiles(), ticks, 0, ticks)
