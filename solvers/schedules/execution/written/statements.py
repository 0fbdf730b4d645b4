"""Statements of a nest as a person writes them: what is fetched, computed and written, by ranges of names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from solvers.schedules.execution.buffer import PartName
from solvers.schedules.execution.nest import Interval, KernelAxis, LoopNest, TileLoop, outputs_named
from solvers.schedules.execution.structure import NestStructure

AXES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}
"""Names of axes by how many there are."""
PARTS_FETCHED: tuple[PartName, ...] = ("ifmap", "weights", "ofmap")
"""Tensors in the order in which their fetches stand."""
_STROKE = "'"
_SHORT = {"groups": "g", "batch": "n", "out_channels": "co", "rounds": "r", "in_channels": "ci"}


class Statements:
    """Statements of a nest's tiles; or of sub-tiles, whose loops have names with a stroke (``co'``).

    Args:
        nest: the nest.
        shape: its loops as they are written.
        parts: sizes of a sub-tile by loop, of what is cut; none for tiles.
    """

    def __init__(self, nest: LoopNest, shape: NestStructure, parts: Mapping[str, int] | None = None) -> None:
        self.nest, self.shape, self.parts = nest, shape, parts or {}
        self.loops = {outputs_named(loop.name) for loop in shape.loops} | set(self.parts)

    def variable(self, loop: TileLoop) -> str:
        """The name that a loop counts with."""
        known = _SHORT.get(loop.name)
        return known or AXES[self.nest.axes][int(loop.name.removeprefix("spatial."))]

    def inner_header(self, loop: TileLoop, size: int) -> str:
        """The loop over the sub-tiles of a tile."""
        name, whole = self.variable(loop), loop.size
        around = f"{name}:{name}+{whole}" if loop.trips > 1 else f"0:{loop.extent}"
        last = (whole - 1) % size + 1
        edge = "" if last == size else f", the last of {last:,}"
        count = f" step {size}    ({-(-whole // size):,} sub-tiles{edge})" if size > 1 else ""
        return f"for {name}' in {around}{count}"

    def fetch(self, part: PartName) -> Iterator[str]:
        """What brings a tensor in, where its loop's body begins; nothing for an ofmap that is not spilled."""
        if part == "ifmap":
            yield self._ifmap() + self._kept("ifmap")
        elif part == "weights":
            yield f"fetch weights{self._weights()}{self._kept('weights')}"
        elif self.shape.spills:
            yield f"if ci > 0: fetch ofmap{self._ofmap()}    # partial sums"

    def _kept(self, part: PartName) -> str:
        """Loops that run while a tile stays."""
        if self.parts:
            return ""
        inside = [self.variable(loop) for loop in self.shape.loops[self.shape.depth[part] :]]
        cut = self.nest.cut.sizes if self.nest.cut else ()
        inside += [f"{self.variable(self.nest.loop[name])}'" for name in cut]
        return f"    # kept for all {', '.join(inside)}" if inside else ""

    def compute(self) -> str:
        """What the array does with a tile, or a sub-tile."""
        first = f"ci{self._stroke('in_channels')}"
        begins = f"= at {first} = 0, then +=" if "in_channels" in self.loops else "="
        return f"compute ofmap{self._ofmap()} {begins} weights * ifmap"

    def store(self) -> str:
        """Where an ofmap tile goes to."""
        kind = "    # spilled: partial sums until the last ci" if self.shape.spills else self._kept("ofmap")
        return f"write ofmap{self._ofmap()}{kind}"

    def _stroke(self, loop: str) -> str:
        return _STROKE if loop in self.parts else ""

    def _range(self, loop: str) -> str:
        """A tile along a loop, or a sub-tile."""
        tile = self.nest.loop[loop]
        name, size = f"{self.variable(tile)}{self._stroke(loop)}", self.parts.get(loop, tile.size)
        if loop not in self.loops:
            return f"0:{tile.extent}"
        return name if size == 1 else f"{name}:{name}+{size}"

    def _filters(self) -> str:
        rounds = self.nest.loop["outputs"].name == "rounds"
        if rounds and "outputs" not in self.loops:
            return f"0:{self.nest.out_channels}"
        return "filters of r" if rounds else self._range("outputs")

    def _boxed(self, *ranges: str) -> str:
        group = "g, " if self.nest.groups > 1 else ""
        return f"[{group}{', '.join(ranges)}]"

    def _weights(self) -> str:
        channels = (self._filters(), self._range("in_channels"))
        taps = [f"0:{a.taps}" for a in self.nest.kernels[0].axes] if len(self.nest.kernels) == 1 else ["taps"]
        return self._boxed(*(channels[::-1] if self.nest.transposed else channels), *taps)

    def _ofmap(self) -> str:
        axes = (self._range(f"spatial.{axis}") for axis in range(self.nest.axes))
        return self._boxed(self._range("batch"), self._filters(), *axes)

    def _ifmap(self) -> str:
        axes = [self._window(axis) for axis in range(self.nest.axes)]
        text = f"fetch ifmap{self._boxed(self._range('batch'), self._range('in_channels'), *axes)}"
        if self.nest.slides is None:
            return text
        loop = self.nest.loop[f"spatial.{self.nest.slides}"]
        name = self.variable(loop)
        within = bool(self.parts) and loop.trips > 1 and "in_channels" in self.loops  # not from tile to tile
        return (
            f"{text}; if {name}{'' if not self.parts else _STROKE} > {name if within else 0} only what is new"
        )

    def _window(self, axis: int) -> str:
        """The ifmap elements that a tile needs: the hull of what the kernels read, beyond the ifmap too."""
        name = f"spatial.{axis}"
        loop, kernels = self.nest.loop[name], [k.axes[axis] for k in self.nest.kernels]
        size = self.parts.get(name, loop.size)
        reads = [_unclipped(kernel, Interval(0, min(size, kernel.out))) for kernel in kernels]
        low, high = min(r.start for r in reads), max(r.stop for r in reads)
        if name not in self.loops:
            window = self.nest.windows[axis][0]
            return f"{window.start}:{window.stop}"
        variable, stride = f"{self.variable(loop)}{self._stroke(name)}", kernels[0].stride
        times = variable if stride == 1 else f"{stride}{variable}"
        return f"{times}{low:+d}:{times}{high:+d}".replace("+0", "")


def _unclipped(axis: KernelAxis, outputs: Interval) -> Interval:
    reach = (axis.taps - 1) * axis.tap_step
    first = outputs.start * axis.stride + axis.origin + min(0, reach)
    return Interval(first, (outputs.stop - 1) * axis.stride + axis.origin + max(0, reach) + 1)
