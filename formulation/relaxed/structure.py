"""What shapes a relaxed model, and the traffic of its class; nothing here needs Pyomo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from formulation.cost import Tensors, Traffic, Trips, moved_tiles, passes
from formulation.hardware import Hardware
from formulation.mapping import INDEPENDENT, Group, Stationary, Tensor

GROUPS = tuple(group.value for group in Group)
TENSORS = ("ifmap", "ofmap", "weights")
LOWEST = {"latency": 0.0, "traffic": 1.0, "spent": 1.0}
"""The quantities that are modelled, each with the least value of its variable."""
SUB = "sub_"
"""Before the name of a dimension: that of the sub-tiles that its tiles are cut into."""


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
        cut: the group whose tiles are cut into sub-tiles; None for none.
        cut_axis: of the spatial group, the only axis that is cut; None if all may be.
        one: groups that have a single tile.
    """

    axes: int
    stationary: Stationary
    partial_sums: bool
    double_buffered: bool
    timed: bool
    summed: bool = False
    apart: bool = False
    set_up: bool = False
    cut: Group | None = None
    cut_axis: int | None = None
    one: tuple[Group, ...] = ()

    @property
    def trips(self) -> Trips:
        """Trip counts that stand for "one" or "more than one" of each group."""
        co, sp = (1 if group in self.one else 2 for group in (Group.CO, Group.SP))
        return Trips(co, 2 if self.partial_sums else 1, sp)

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
    def spatial(self) -> tuple[str, ...]:
        """Names of the dimensions of the spatial group: the batch, then the axes."""
        return ("batch", *(f"axis{i}" for i in range(self.axes)))

    @property
    def subs(self) -> tuple[str, ...]:
        """Names of the sub-tiles' dimensions, those of the dimensions that are cut with ``sub_``."""
        if self.cut is None:
            return ()
        whole = self.spatial if self.cut is Group.SP else (self.cut.value,)
        return tuple(f"{SUB}{d}" for d in (whole if self.cut_axis is None else (f"axis{self.cut_axis}",)))

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of what has a size: the channels, the batch, the axes; then the sub-tiles, if there are any.

        The trips of a sub-tile are those that it would have if it were a tile: the fewest sub-tiles of it.
        """
        return ("co", "ci", *self.spatial, *self.subs)

    @property
    def streamed(self) -> Tensor | None:
        """The tensor that is held as sub-tiles; None where all are held whole."""
        return None if self.cut is None else INDEPENDENT[self.stationary.streamed_across(self.cut)]

    @property
    def wide(self) -> bool:
        """Whether the ofmap's tile is one of partial sums."""
        return self.partial_sums or self.cut is Group.CI

    def inside(self, dim: str) -> str:
        """A dimension's sub-tile where it is cut, else the dimension."""
        return f"{SUB}{dim}" if f"{SUB}{dim}" in self.subs else dim

    def held(self, tensor: Tensor, dim: str) -> str:
        """The dimension of what is held of a tensor."""
        return self.inside(dim) if tensor == self.streamed else dim

    def of_group(self, group: str) -> tuple[str, ...]:
        """The dimensions of the tiles of a group of loops."""
        return self.spatial if group == Group.SP.value else (group,)

    def arguments(self, name: str, index: str) -> tuple[str, ...]:
        """The dimensions whose trips, in all, an epigraph variable is a function of.

        The array runs sub-tiles, of whose groups the cycles are. What is held of a streamed ifmap depends on
        the sub-tile, and so do its words; but for those that slide along the only axis that is cut.
        """
        if name in ("cycles", "ports"):
            return tuple(self.inside(d) for d in self.of_group(index))
        if name == "largest" or (name == "fetched" and self.cut_axis is None):
            return (self.held("ifmap", index),)
        return (index,)


def class_passes(structure: Structure, trips: Trips) -> Trips:
    """How often the tensor that is independent of each group is moved whole, in a class.

    Args:
        structure: of the class.
        trips: of the three groups; those of the input channels are not looked at without partial sums.
    """
    each = {}
    for group in Group:
        many = passes(structure.stationary, group, structure.trips, structure.cut) > 1
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
