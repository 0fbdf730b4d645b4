"""Where a step is in its loops, and which part of each dimension it holds of a tensor, or computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from solvers.schedules.execution.buffer import PartName
from solvers.schedules.execution.nest import Interval, LoopNest, outputs_named


class Place(dict[str, int]):
    """Position in each loop over tiles, by its name; output channels or rounds are ``outputs``.

    Attributes:
        part: the sub-tile's elements in the dimensions that are cut; empty where a tile is run at once.
    """

    __slots__ = ("part",)

    def __init__(self, index: Mapping[str, int], part: Mapping[str, Interval]) -> None:
        super().__init__(index)
        self.part = part


class HeldTiles:
    """The tile, or sub-tile, of each tensor at a place. No tensor: what is computed at once."""

    def __init__(self, nest: LoopNest) -> None:
        self.nest = nest
        self.streamed = None if nest.cut is None else nest.cut.tensor
        self.names = [f"spatial.{axis}" for axis in range(nest.axes)]
        self.whole: list[dict[str, Interval]] = [{}] if nest.cut is None else []  # of a tile run at once

    def places(self) -> Iterator[Place]:
        """Every step in order."""
        names = [outputs_named(loop.name) for loop in self.nest.loops]
        for at in product(*(range(loop.trips) for loop in self.nest.loops)):
            index = dict(zip(names, at, strict=True))
            for part in self.whole or self._parts(index):
                yield Place(index, part)

    def _parts(self, index: Mapping[str, int]) -> Iterator[dict[str, Interval]]:
        """The sub-tiles of a tile."""
        cut = {} if self.nest.cut is None else self.nest.cut.sizes
        each = []
        for name, size in cut.items():
            tile = self.nest.loop[name].tile(index[name])
            starts = range(tile.start, tile.stop, size)
            each.append([Interval(start, min(start + size, tile.stop)) for start in starts])
        for intervals in product(*each):
            yield dict(zip(cut, intervals, strict=True))

    def along(self, loop: str, at: Place, tensor: PartName | None = None) -> Interval:
        """Elements of a dimension."""
        if at.part and loop in at.part and tensor in (None, self.streamed):
            return at.part[loop]
        return self.nest.loop[loop].tile(at[loop])

    def images(self, at: Place, tensor: PartName | None = None) -> Interval:
        """Of the batch."""
        return self.along("batch", at, tensor)

    def channels(self, at: Place, tensor: PartName | None = None) -> Interval:
        """Input channels, within the group."""
        return self.along("in_channels", at, tensor)

    def filters(self, kernel: int, at: Place, tensor: PartName | None = None) -> Interval:
        """Output channels of a kernel, within the group."""
        if "outputs" in at.part:
            return self.along("outputs", at, tensor)
        row = self.nest.kernels[kernel]
        first = row.starts[at["outputs"]]
        return Interval(first, first + row.filters[at["outputs"]])

    def outputs(self, kernel: int, at: Place, tensor: PartName | None = None) -> tuple[Interval, ...]:
        """Of a kernel along each axis."""
        row, axes = self.nest.kernels[kernel], enumerate(self.names)
        if not at.part:
            return tuple(self.nest.outputs(row, axis, at[name]) for axis, name in axes)
        return tuple(
            self.along(name, at, tensor) if name in at.part else self.nest.outputs(row, axis, at[name])
            for axis, name in axes
        )

    def windows(self, at: Place) -> tuple[Interval, ...]:
        """Ifmap elements that are held along each axis."""
        if self.streamed != "ifmap":
            return tuple(w[at[name]] for name, w in zip(self.names, self.nest.windows, strict=True))
        outputs = self.outputs(0, at, "ifmap")
        return tuple(self.nest.hull(axis, [outputs[axis]]) for axis in range(self.nest.axes))
