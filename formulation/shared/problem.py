"""A deconvolution whose sub-kernels share each ifmap tile, their filters packed into rounds.

The sub-kernels with taps run as one layer. A tile of the common grid is clipped to each sub-kernel's own
outputs; the ifmap tile is the hull of what they need (``formulation.shared.hull``). Round r holds ``x[j,r]``
filters of sub-kernel j, ``sum_r x[j,r] = Co``, and the rounds play the output-channel tiles of an ordinary
layer:

    traffic:  as ``cost.traffic`` with the sums of weights and ofmaps, R rounds for n_co
    weights:  largest over r of  sum_j x[j,r] * ci * taps_j      (words of the round's weight tile)
    ofmap:    largest over r of  sum_j x[j,r] * pixels_j
    compute:  sum_j  a_co(x[j,.]) * a_ci(j) * a_sp(j)             (``cost.group_cycles`` of sub-kernel j)

Sub-kernels without taps stand outside: their zeros are written, which costs the same however the others
run, so they are no part of this problem.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import prod

from dnns.axes import Axis
from dnns.layer import Deconvolution, Layer
from formulation.bounds import compulsory_bits
from formulation.cost import (
    TensorBits,
    Traffic,
    Trips,
    array_passes,
    array_traffic,
    group_cycles,
    held_bits,
    setup_cycles,
    traffic,
)
from formulation.deconv import SubConvolution, split
from formulation.evaluation import Work, check_slide, check_tile, cost_of, tile_words
from formulation.extents import AxisTable, channel_tiles, full_axis_table, spatial_tiles
from formulation.hardware import Hardware
from formulation.mapping import Group, Partition, Stationary
from formulation.pricing.bursts import all_passes, pinned
from formulation.pricing.objective import Objective
from formulation.pricing.price import Cost, Price, written_bits, written_ticks
from formulation.problem import Posed
from formulation.shared.bursts import shared_runs
from formulation.shared.hull import hull_table

Rounds = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class SharedMapping:
    """One way to run all sub-kernels of a deconvolution on shared ifmap tiles.

    Attributes:
        in_channels: of a tile.
        batch: of a tile.
        spatial: extents of a tile of the common grid; each sub-kernel's is clipped to its own outputs.
        rounds: filters of each sub-kernel with taps (first index, in the order of ``split``) in each round.
        stationary: loop order, rounds in place of output-channel tiles.
        sliding_axis: as of ``Mapping``.
    """

    in_channels: int
    batch: int
    spatial: tuple[int, ...]
    rounds: Rounds
    stationary: Stationary
    sliding_axis: int | None = None

    @property
    def round_count(self) -> int:
        """Number of rounds."""
        return len(self.rounds[0])

    def __str__(self) -> str:
        batch = f" n{self.batch}" if self.batch > 1 else ""
        slide = "" if self.sliding_axis is None else f" slide {self.sliding_axis}"
        spatial = "x".join(map(str, self.spatial))
        return f"{self.stationary} {self.round_count} rounds ci{self.in_channels}{batch} {spatial}{slide}"


@dataclass(frozen=True)
class SubKernels:
    """The sub-kernels of a deconvolution that have taps, as one set of tensors.

    Attributes:
        deconv: the deconvolution.
    """

    deconv: Deconvolution

    @cached_property
    def subs(self) -> tuple[SubConvolution, ...]:
        """All sub-convolutions, those without taps included."""
        return split(self.deconv)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The sub-convolutions with taps."""
        return tuple(sub.layer for sub in self.subs if sub.layer is not None)

    @property
    def groups(self) -> int:
        """Groups, run one after another."""
        return self.deconv.groups

    @cached_property
    def weight_words(self) -> int:
        """Weights of all sub-kernels and groups."""
        return sum(layer.weight_words for layer in self.layers)

    @cached_property
    def ofmap_words(self) -> int:
        """Ofmap of all sub-kernels with taps and groups."""
        return sum(layer.ofmap_words for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all of them."""
        return sum(layer.macs for layer in self.layers)

    @property
    def zero_words(self) -> int:
        """Ofmap that no tap reaches."""
        return sum(sub.ofmap_words for sub in self.subs if sub.layer is None)

    def zero_bits(self, hardware: Hardware) -> int:
        """Bits that they move, those of each sub-kernel as one run."""
        return sum(written_bits(hardware, sub.ofmap_words) for sub in self.subs if sub.layer is None)

    def zero_ticks(self, hardware: Hardware) -> int:
        """Time to write them, those of each sub-kernel by one transfer."""
        return written_ticks(hardware, self.zero_bits(hardware), sum(sub.layer is None for sub in self.subs))

    @cached_property
    def dims(self) -> tuple[AxisTable, ...]:
        """Tables of the batch and of each axis of the common grid, for every tile size."""
        batch = Axis(out=self.deconv.batch, in_size=self.deconv.batch)
        return (full_axis_table(batch), *(hull_table(axis) for axis in self.deconv.axes))


@dataclass(frozen=True)
class SharedProblem(Posed[SharedMapping]):
    """A deconvolution to be mapped with shared ifmap tiles.

    Attributes:
        deconv: the deconvolution.
        hardware: as of ``Problem``, like ``objective`` and ``partition``.
        objective: see there.
        partition: see there.
        rival: latency of another way to run the deconvolution [ticks]: a latency cap is over the lesser of
            it and the least latency with shared tiles. None if there is no other way.
        aside: latency that comes on top of both ways, and counts in the cap [ticks].

    Raises:
        ValueError: if no sub-kernel has taps.
    """

    deconv: Deconvolution
    hardware: Hardware = field(default_factory=Hardware)
    objective: Objective = field(default_factory=Objective)
    partition: Partition | None = None
    rival: int | None = None
    aside: int = 0

    def __post_init__(self) -> None:
        if not self.kernels.layers:
            raise ValueError("no sub-kernel has taps: nothing is shared")

    @property
    def operator(self) -> Deconvolution:
        """The deconvolution."""
        return self.deconv

    @property
    def floor(self) -> Price:
        """Without outputs that no tap reaches, which are no mapping's business."""
        hardware, kernels, rates = self.hardware, self.kernels, self.rates
        moved = compulsory_bits(self.deconv, hardware) - kernels.zero_words * hardware.bits.ofmap
        macs = sum(layer.macs for layer in kernels.layers)
        compute = Fraction(macs * hardware.tick.per_cycle, hardware.rows * hardware.cols)
        latency = max(compute, Fraction(moved * hardware.tick.per_bit))
        spent = None if rates is None else Fraction(rates.of(macs, moved, moved, latency))
        return Price.of(latency, moved, spent)

    @cached_property
    def kernels(self) -> SubKernels:
        """The sub-kernels."""
        return SubKernels(self.deconv)

    def evaluate(self, mapping: SharedMapping) -> Cost:
        """The exact cost of a mapping, whether or not it fits the buffer; raises as ``work``."""
        return cost_of(self.hardware, self.kernels.macs, self.work(mapping))

    def work(self, mapping: SharedMapping) -> Work:
        """Words, cycles and tiles of a mapping, before anything is said of where its operands are.

        Raises:
            ValueError: if a tile is out of range, or the rounds do not hold every filter once.
        """
        _check(self, mapping)
        kernels, hardware, deconv = self.kernels, self.hardware, self.deconv
        sizes = (mapping.batch, *mapping.spatial)
        tables = ((table, size - 1) for table, size in zip(kernels.dims, sizes, strict=True))
        trips, fetched, slid, largest = tile_words(tables, mapping.sliding_axis)
        n = Trips(mapping.round_count, -(-deconv.in_channels // mapping.in_channels), trips)
        channels = deconv.in_channels
        moved = traffic(kernels, mapping.stationary, n, channels * fetched, channels * slid)
        weights, ofmap = largest_round(kernels, mapping.rounds, sizes)
        ifmap = mapping.in_channels * largest
        held = held_bits(hardware, ifmap, ofmap, mapping.in_channels * weights, n.ci)
        pairs = zip(kernels.layers, mapping.rounds, strict=True)
        each = [_array(hardware, layer, row, sizes, mapping.in_channels, n.ci) for layer, row in pairs]
        compute = deconv.groups * sum(cycles for cycles, _ in each)
        array = Traffic(*(sum(getattr(words, name) for _, words in each) for name in Traffic.__slots__))
        setup, burst = setup_cycles(hardware, deconv.groups, mapping.stationary, n), None
        if hardware.burst_bytes:
            alike = [(layer, 1) for layer in kernels.layers]
            once = shared_runs(deconv, alike, hardware, n.co, mapping.in_channels, sizes)
            burst = pinned(deconv.groups, all_passes(mapping.stationary, n), once)
        return Work(n, moved, compute, array, held, setup, burst)

    def smallest_tiles(self) -> Iterable[TensorBits]:
        """Bits of tiles of one grid point, one filter a round, with one and with all input channels.

        Some round holds a filter of the largest sub-kernel.
        """
        largest, taps = prod(int(d.largest[0]) for d in self.kernels.dims), self.most_taps
        channels = self.deconv.in_channels
        for ci in {1, channels}:
            yield held_bits(self.hardware, ci * largest, 1, ci * taps, -(-channels // ci))

    def cap(self, latency_ticks: int) -> int:
        """As of any problem, over the lesser of this latency and the rival's, with what comes on top."""
        least = latency_ticks if self.rival is None else min(self.rival, latency_ticks)
        return self.objective.cap(least + self.aside) - self.aside

    @property
    def most_taps(self) -> int:
        """Taps of the largest sub-kernel."""
        return max(layer.taps for layer in self.kernels.layers)


def clipped(layer: Layer, sizes: Iterable[int]) -> list[int]:
    """A tile of the common grid (batch first) clipped to a sub-kernel's outputs: its largest tile."""
    return [min(s, n) for s, n in zip(sizes, (layer.batch, *(a.out for a in layer.axes)), strict=True)]


def largest_round(kernels: SubKernels, rounds: Rounds, sizes: tuple[int, ...]) -> tuple[int, int]:
    """Weights per input channel, and ofmap words, of the largest round [words]."""
    pixels = [prod(clipped(layer, sizes)) for layer in kernels.layers]
    held = [
        (
            sum(x * layer.taps for x, layer in zip(column, kernels.layers, strict=True)),
            sum(x * p for x, p in zip(column, pixels, strict=True)),
        )
        for column in zip(*rounds, strict=True)
    ]
    return max(w for w, _ in held), max(o for _, o in held)


def _array(
    hardware: Hardware, layer: Layer, filters: tuple[int, ...], sizes: tuple[int, ...], ci: int, trips_ci: int
) -> tuple[int, Traffic]:
    """Cycles of one sub-kernel, one group: the product of the loops' factors; and its words at the array."""
    extents = (layer.batch, *(a.out for a in layer.axes))
    tile = clipped(layer, sizes)
    trips = [-(-n // t) for n, t in zip(extents, tile, strict=True)]
    edge = [n - (k - 1) * t for n, t, k in zip(extents, tile, trips, strict=True)]
    held = [(1, x) for x in filters if x]
    tiles = {
        Group.CO: (len(held), held),
        Group.CI: (trips_ci, channel_tiles(layer.in_channels, ci, trips_ci)),
        Group.SP: (prod(trips), spatial_tiles(trips, tile, edge)),
    }
    cycles = {g: group_cycles(layer, hardware, g, n, each) for g, (n, each) in tiles.items()}
    passes = {g.value: array_passes(hardware, g, n, cycles[g]) for g, (n, _) in tiles.items()}
    return prod(cycles.values()), array_traffic(layer, layer.ifmap_reads, Trips(**passes))


def _check(problem: SharedProblem, mapping: SharedMapping) -> None:
    kernels, deconv = problem.kernels, problem.deconv
    sizes = {"in_channels": (mapping.in_channels, deconv.in_channels), "batch": (mapping.batch, deconv.batch)}
    check_tile(sizes, mapping.spatial, [len(table.tile) for table in kernels.dims[1:]])
    if len(mapping.rounds) != len(kernels.layers) or len({len(r) for r in mapping.rounds}) != 1:
        raise ValueError(f"rounds must be {len(kernels.layers)} sub-kernels of equally many rounds")
    for row in mapping.rounds:
        if sum(row) != deconv.out_channels or min(row) < 0:
            raise ValueError(f"the rounds of a sub-kernel hold {row}, must add up to {deconv.out_channels}")
    if not all(any(column) for column in zip(*mapping.rounds, strict=True)):
        raise ValueError("a round holds no filter")
    check_slide(problem.hardware, mapping.sliding_axis, len(deconv.axes))
