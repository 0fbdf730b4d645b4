"""One optimisation problem: what is to be run, a machine, an objective and, if given, a partition."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pickle import dumps, loads
from typing import Any, Generic, TypeVar

from dnns.layer import Layer, Operator
from formulation.cost import TensorBits, fits, footprint, tile_bits
from formulation.evaluation import evaluate
from formulation.extents import full_axis_table
from formulation.hardware import Hardware, Rates
from formulation.mapping import Mapping, Partition
from formulation.pricing.objective import LATENCY, Kind, Objective, Quantity, Step, least_price
from formulation.pricing.price import Cost, Price

__all__ = ["Kind", "Objective", "Posed", "Problem"]

M = TypeVar("M")


class Posed(ABC, Generic[M]):
    """What every problem has: a machine, an objective, perhaps a partition, and mappings of its own kind."""

    __slots__ = ()
    hardware: Hardware
    objective: Objective
    partition: Partition | None

    @property
    @abstractmethod
    def operator(self) -> Operator:
        """What is to be run."""

    @property
    def name(self) -> str:
        """Of what is to be run."""
        return self.operator.name

    @abstractmethod
    def evaluate(self, mapping: M) -> Cost:
        """The exact cost of a mapping, whether or not it fits; raises ValueError if it is none of these."""

    @abstractmethod
    def smallest_tiles(self) -> Iterable[TensorBits]:
        """Bits of the smallest tiles: without partial sums, and with one element per dimension.

        Some mapping fits iff one of them does. With partial sums wider than the ofmap, all input channels
        at once may take less, as then no partial sum is ever stored.
        """

    def price(self, cost: Cost) -> Price:
        """The quantities that a mapping is compared by; without what is spent if nothing is summed."""
        spent = None if self.rates is None else cost.spent(self.hardware, self.rates)
        return Price.of(cost.latency_ticks, cost.traffic_bits, spent)

    @property
    def rates(self) -> Rates | None:
        """Of the quantity that the objective sums (``Price.spent``); None if it sums none."""
        return self.objective.rates(self.hardware)

    @property
    def least(self) -> Price:
        """What no way to run the operator can beat, quantity by quantity: the units of a weighted sum."""
        return least_price(self.operator, self.hardware, self.objective.spends)

    @property
    def floor(self) -> Price:
        """What no mapping of this problem can beat, quantity by quantity."""
        return self.least

    def cap(self, latency_ticks: int) -> int:
        """The largest latency allowed where this is the least that is known [ticks]."""
        return self.objective.cap(latency_ticks)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What the objective asks for, in turn."""
        return self.objective.steps(lambda: self.least)

    def needs(self, quantity: Quantity) -> bool:
        """Whether a quantity matters to the optimum, ties aside."""
        spent = quantity is LATENCY and self.rates is not None and self.rates.tick
        return self.objective.needs(quantity) or bool(spent)

    def values(self, price: Price) -> tuple[Fraction | int, ...]:
        """What mappings are compared by in the end, exactly; the first is the objective's own."""
        return tuple(measure.exact(price) for measure in self.steps[-1].measures)

    def objective_value(self, price: Price) -> Fraction:
        """The objective's own quantity: cycles, bytes (also for balanced) or the weighted score."""
        measure = self.steps[-1].measures[0]
        return measure.told(self.hardware, measure.exact(price))

    def is_feasible(self, cost: Cost) -> bool:
        """Whether the mapping of this cost fits the buffer and the partition."""
        return bool(fits(self.hardware, self.partition, TensorBits(*cost.footprint.parts)))

    def smallest_need(self) -> Partition:
        """The buffer's parts that the smallest tile takes [bits]; a problem is feasible iff this fits."""
        needs = [footprint(self.hardware, tile) for tile in self.smallest_tiles()]
        best = min(needs, key=lambda n: (not fits(self.hardware, self.partition, n), n.total))
        return Partition(best.ifmap, best.ofmap, best.weights)

    @property
    def fits_at_all(self) -> bool:
        """Whether any mapping fits."""
        return bool(fits(self.hardware, self.partition, TensorBits(*self.smallest_need().parts)))


@dataclass(frozen=True, slots=True)
class Problem(Posed[Mapping]):
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

    def __reduce__(self) -> tuple[Callable[[bytes, bytes], Problem], tuple[bytes, bytes]]:
        """To another process: what many problems share is packed once, and is one object there as well."""
        return _unpacked, (_packed(self.layer), _packed((self.hardware, self.objective, self.partition)))

    @property
    def operator(self) -> Layer:
        """The layer."""
        return self.layer

    def evaluate(self, mapping: Mapping) -> Cost:
        """The cost of a mapping; raises ValueError if it is none of this layer."""
        return evaluate(self.layer, self.hardware, mapping)

    def smallest_tiles(self) -> Iterable[TensorBits]:
        """Bits of tiles of one output, with one and with all input channels."""
        layer, largest = self.layer, 1
        for axis in layer.axes:
            largest *= int(full_axis_table(axis).largest[0])
        for ci in {1, layer.in_channels}:
            yield tile_bits(layer, self.hardware, 1, ci, largest, 1, -(-layer.in_channels // ci))


@lru_cache(maxsize=1024)
def _packed(part: Layer | tuple[Hardware, Objective, Partition | None]) -> bytes:
    return dumps(part)


@lru_cache(maxsize=1024)
def _part(packed: bytes) -> Any:
    return loads(packed)


def _unpacked(layer: bytes, setting: bytes) -> Problem:
    return Problem(_part(layer), *_part(setting))
