"""What shapes a relaxed model, and the traffic of its class; nothing here needs Pyomo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from formulation.cost import Tensors, Traffic, Trips, moved_tiles, passes
from formulation.hardware import Hardware
from formulation.mapping import Group, Stationary

GROUPS = tuple(group.value for group in Group)
TENSORS = ("ifmap", "ofmap", "weights")
LOWEST = {"latency": 0.0, "traffic": 1.0, "spent": 1.0}
"""The quantities that are modelled, each with the least value of its variable."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What shapes a model, as opposed to the numbers in it.

    Attributes:
        axes: number of spatial axes.
        stationary: the loop order.
        partial_sums: whether input channels take more than one trip.
        double_buffered: whether transfers and computation overlap.
        timed: whether latency is modelled; it is not where traffic alone matters.
        summed: whether what is spent is modelled.
        apart: whether how often tensors go between buffer and array has variables of its own,
            other than those of the array's cycles.
        set_up: whether setting transfers up takes time.
    """

    axes: int
    stationary: Stationary
    partial_sums: bool
    double_buffered: bool
    timed: bool
    summed: bool = False
    apart: bool = False
    set_up: bool = False

    @property
    def trips(self) -> Trips:
        """Trip counts that stand for "one" or "more than one" of each group."""
        return Trips(2, 2 if self.partial_sums else 1, 2)

    @property
    def cyclic(self) -> bool:
        """Whether the array's cycles are modelled, by groups of loops."""
        return self.timed or (self.summed and not self.apart)

    @property
    def grouped(self) -> tuple[str, ...]:
        """The epigraph variables that there are for each group of loops."""
        return ("cycles",) * self.cyclic + ("ports",) * self.apart

    @property
    def quantities(self) -> tuple[str, ...]:
        """Those that have a variable."""
        return tuple(name for name in LOWEST if name != "spent" or self.summed)

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions that are tiled; the first two are the channels, the third the batch."""
        return ("co", "ci", "batch", *(f"axis{i}" for i in range(self.axes)))


def class_passes(structure: Structure, trips: Trips) -> Trips:
    """How often the tensor that is independent of each group is moved whole, in a class.

    Args:
        structure: of the class.
        trips: of the three groups; those of the input channels are not looked at without partial sums.
    """
    each = {}
    for group in Group:
        many = passes(structure.stationary, group, structure.trips) > 1
        each[group.value] = trips.of(group) if many else 1
    return Trips(**each)


def class_traffic(layer: Tensors, structure: Structure, one_pass: Any, trips: Trips) -> Traffic:
    """Words moved in a class: its tensors' passes are those of its loop order with all trips above one.

    Args:
        layer: gives the words of weights and ofmap.
        structure: of the class.
        one_pass: ifmap words of one pass, one group.
        trips: as of ``class_passes``.
    """
    moved = class_passes(structure, trips)
    return Traffic(
        ifmap=layer.groups * one_pass * moved.co,
        weights=layer.weight_words * moved.sp,
        ofmap_write=layer.ofmap_words * moved.ci,
        ofmap_read=layer.ofmap_words * (moved.ci - 1),
    )


def class_setup(hardware: Hardware, groups: int, structure: Structure, trips: Trips) -> Any:
    """Cycles to set up the transfers of a class: as ``cost.setup_cycles``, with the passes of the class.

    A mapping of a group that takes one trip may have fewer passes in its loop order. Tensor by tensor these
    are the passes of another class, whose words and transfers are then its own: see ``class_traffic``.
    """
    if not structure.set_up:
        return 0.0
    ci = trips.ci if structure.partial_sums else 1
    moved = class_passes(structure, trips)
    each = Trips(trips.co, ci, trips.sp)
    return hardware.transfer_cycles * groups * (1.0 * moved_tiles(each, moved))
