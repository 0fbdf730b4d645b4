"""One optimisation problem: a layer, a machine, an objective and, if given, a partition."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from math import floor

from dnns.layer import Layer
from formulation.bounds import compulsory_bits, roofline_ticks
from formulation.cost import Cost, TensorBits, fits, footprint, tile_bits
from formulation.evaluation import evaluate
from formulation.extents import full_axis_table
from formulation.hardware import Hardware
from formulation.mapping import Mapping, Partition

#: Comparisons with a latency cap allow this relative excess.
CAP_TOLERANCE = Fraction(1, 10**12)


class Kind(StrEnum):
    """What is minimised."""

    LATENCY = "latency"
    TRAFFIC = "traffic"
    BALANCED = "balanced"
    WEIGHTED = "weighted"


@dataclass(frozen=True, slots=True)
class Objective:
    """The objective.

    ``latency`` and ``traffic`` minimise one and break ties by the other. ``balanced`` finds the least
    latency L*, then the least traffic among mappings with latency at most ``(1 + tolerance) * L*``, then the
    least latency. ``weighted`` minimises ``latency_weight * latency / roofline + traffic_weight * traffic /
    compulsory``, ties by latency, then traffic.

    Raises:
        ValueError: if the tolerance or a weight is negative, or both weights are zero.
    """

    kind: Kind = Kind.BALANCED
    tolerance: Fraction = Fraction(1, 100)
    latency_weight: Fraction = Fraction(1, 2)
    traffic_weight: Fraction = Fraction(1, 2)

    def __post_init__(self) -> None:
        if self.tolerance < 0:
            raise ValueError(f"tolerance is {self.tolerance}, must be at least 0")
        weights = self.latency_weight, self.traffic_weight
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError("the weights must be at least 0, and one of them above 0")

    def cap(self, latency_ticks: int | Fraction) -> int:
        """The largest latency within the tolerance of the given one [ticks]."""
        return floor(latency_ticks * (1 + self.tolerance) * (1 + CAP_TOLERANCE))


@dataclass(frozen=True, slots=True)
class Problem:
    """A layer to be mapped onto a machine.

    Attributes:
        layer: the layer; its ``name`` and ``count`` do not matter here.
        hardware: the machine.
        objective: what is minimised.
        partition: the buffer's parts if they are given, None if they are free.
    """

    layer: Layer
    hardware: Hardware = field(default_factory=Hardware)
    objective: Objective = field(default_factory=Objective)
    partition: Partition | None = None

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.layer.name

    def evaluate(self, mapping: Mapping) -> Cost:
        """The cost of a mapping; raises ValueError if it is none of this layer."""
        return evaluate(self.layer, self.hardware, mapping)

    def is_feasible(self, cost: Cost) -> bool:
        """Whether the mapping of this cost fits the buffer and the partition."""
        need = TensorBits(*cost.footprint.parts)
        return bool(fits(self.hardware, self.partition, need))

    def score(self, latency_ticks: int, traffic_bits: int) -> Fraction:
        """The weighted objective, exactly."""
        per_tick, per_bit = self.score_weights
        return latency_ticks * per_tick + traffic_bits * per_bit

    @property
    def score_weights(self) -> tuple[Fraction, Fraction]:
        """Weight of one tick of latency and of one bit of traffic in the weighted objective."""
        goal = self.objective
        return (
            goal.latency_weight / roofline_ticks(self.layer, self.hardware),
            goal.traffic_weight / compulsory_bits(self.layer, self.hardware),
        )

    def smallest_need(self) -> Partition:
        """The buffer's parts that the smallest tile takes [bits]: one element per dimension.

        With partial sums wider than the ofmap, all input channels at once may take less, as then no
        partial sum is ever stored. A problem is feasible iff this fits.
        """
        layer, hardware = self.layer, self.hardware
        largest = 1
        for axis in layer.axes:
            largest *= int(full_axis_table(axis).largest[0])
        needs = []
        for ci in {1, layer.in_channels}:
            held = tile_bits(layer, hardware, 1, ci, largest, 1, -(-layer.in_channels // ci))
            needs.append(footprint(hardware, held))
        best = min(needs, key=lambda n: (not fits(hardware, self.partition, n), n.total))
        return Partition(best.ifmap, best.ofmap, best.weights)

    @property
    def fits_at_all(self) -> bool:
        """Whether any mapping fits."""
        need = TensorBits(*self.smallest_need().parts)
        return bool(fits(self.hardware, self.partition, need))
