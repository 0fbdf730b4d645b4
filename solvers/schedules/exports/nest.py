"""A mapping as a loop nest with names: what every tool's files are written from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.cost import Traffic
from formulation.evaluation import evaluate
from formulation.hardware import Hardware
from formulation.mapping import Group, Mapping
from formulation.pricing.price import Cost

AXES = {1: "Q", 2: "PQ", 3: "ZPQ"}
"""Names of the output axes by how many there are, outermost first."""
KERNELS = {"Z": "T", "P": "R", "Q": "S"}
"""Name of the kernel's dimension on an output axis."""
GROUPS, OUT_CHANNELS, IN_CHANNELS, BATCH = "G", "M", "C", "N"
TENSORS = {"weights": "Weights", "ifmap": "Inputs", "ofmap": "Outputs"}
"""Names of the tensors in most files."""


@dataclass(frozen=True, slots=True)
class LoopDimension:
    """One dimension of the loop nest.

    Attributes:
        name: a letter.
        extent: in the layer [elements].
        tile: in a tile [elements]; the last one may be smaller.
        axis: the spatial axis of which it is the outputs or the taps, if it is of one.
    """

    name: str
    extent: int
    tile: int
    axis: Axis | None = None

    @property
    def trips(self) -> int:
        """Tiles."""
        return -(-self.extent // self.tile)

    @property
    def edge(self) -> int:
        """Elements of the last tile."""
        return self.extent - (self.trips - 1) * self.tile

    @property
    def even(self) -> bool:
        """Whether all tiles are alike."""
        return self.extent % self.tile == 0

    @property
    def told(self) -> str:
        """Its extent and tile in words."""
        what = {OUT_CHANNELS: "output channels", IN_CHANNELS: "input channels", BATCH: "images"}
        return f"{self.extent} {what.get(self.name, 'outputs')} in tiles of {self.tile}"

    @property
    def windowed(self) -> bool:
        """Whether an ifmap position is not just an output position: a kernel or a stride acts."""
        return self.axis is not None and (self.axis.kernel > 1 or self.axis.stride > 1)


@dataclass(frozen=True, slots=True)
class ExportNest:
    """One part of a layer with its mapping, on one machine.

    Attributes:
        layer: what is run, all groups.
        hardware: the machine, with the widths of this layer's words.
        mapping: how.
    """

    layer: Layer
    hardware: Hardware
    mapping: Mapping

    @property
    def outer(self) -> tuple[LoopDimension, ...]:
        """The loops over tiles, outermost first, those of one trip included."""
        tile, layer = self.mapping.tile, self.layer
        names = AXES[len(layer.axes)]
        axes = [
            LoopDimension(name, axis.out, size, axis)
            for name, axis, size in zip(names, layer.axes, tile.spatial, strict=True)
        ]
        if (sliding := self.mapping.sliding_axis) is not None:
            axes.append(axes.pop(sliding))
        of = {
            Group.CO: [LoopDimension(OUT_CHANNELS, layer.out_channels, tile.out_channels)],
            Group.CI: [LoopDimension(IN_CHANNELS, layer.in_channels, tile.in_channels)],
            Group.SP: [LoopDimension(BATCH, layer.batch, tile.batch), *axes],
        }
        groups = [LoopDimension(GROUPS, layer.groups, 1)] if layer.groups > 1 else []
        return (*groups, *(d for group in self.mapping.stationary.loops for d in of[group]))

    @property
    def cut(self) -> tuple[LoopDimension, ...]:
        """The loops over the sub-tiles of a tile, inside all others; none where a tile is run at once."""
        steps = self.mapping.steps
        sizes = {OUT_CHANNELS: steps.out_channels, IN_CHANNELS: steps.in_channels, BATCH: steps.batch}
        sizes |= dict(zip(AXES[len(self.layer.axes)], steps.spatial, strict=True))
        tiles = (replace(d, extent=d.tile, tile=sizes.get(d.name, d.tile)) for d in self.outer)
        return tuple(d for d in tiles if d.trips > 1)

    @property
    def taps(self) -> tuple[LoopDimension, ...]:
        """The kernel's dimensions, whole in every tile."""
        names = AXES[len(self.layer.axes)]
        return tuple(
            LoopDimension(KERNELS[name], axis.kernel, axis.kernel, axis)
            for name, axis in zip(names, self.layer.axes, strict=True)
        )

    @property
    def dimensions(self) -> tuple[LoopDimension, ...]:
        """All, in a fixed order: groups, batch, output channels, input channels, axes, taps."""
        order = [GROUPS, BATCH, OUT_CHANNELS, IN_CHANNELS, *AXES[3], *KERNELS.values()]
        return tuple(sorted((*self.outer, *self.taps), key=lambda d: order.index(d.name)))

    @property
    def inner(self) -> tuple[LoopDimension, ...]:
        """The loops inside a tile, outermost first: outputs, then sums; no DRAM word hangs on it."""
        summed = (IN_CHANNELS, *KERNELS.values())
        return tuple(sorted(self.dimensions, key=lambda d: d.name in summed))

    @property
    def partial(self) -> bool:
        """Whether sums over some input channels go to the DRAM and come back."""
        return self.mapping.tile.in_channels < self.layer.in_channels

    @property
    def slides(self) -> bool:
        """Whether some tile fetches only what the one before it has not."""
        refetched = replace(self, mapping=replace(self.mapping, sliding_axis=None))
        return self.words != refetched.words

    def of_tensor(self, tensor: str) -> tuple[str, ...]:
        """Names of the dimensions that a tensor has; of an ifmap its positions are taps and outputs."""
        apart = {
            "weights": {BATCH, *AXES[3]},
            "ifmap": {OUT_CHANNELS},
            "ofmap": {IN_CHANNELS, *KERNELS.values()},
        }[tensor]
        return tuple(d.name for d in self.dimensions if d.name not in apart)

    def kept_at(self, tensor: str) -> int:
        """After how many of the loops over tiles a tensor's tile is chosen: those inside leave it."""
        of = self.of_tensor(tensor)
        moving = [i for i, d in enumerate(self.outer, 1) if d.trips > 1 and d.name in of]
        return max(moving, default=0)

    @property
    def words(self) -> Traffic:
        """DRAM words, as this project counts them."""
        return self.cost.traffic

    @property
    def cost(self) -> Cost:
        """All that the mapping costs; raises ValueError if it is none of this layer."""
        return evaluate(self.layer, self.hardware, self.mapping)

    @property
    def padded(self) -> ExportNest:
        """The same layer if its padding is stored and fetched like the ifmap, as other tools have it."""
        axes = tuple(
            replace(a, pad_lo=0, pad_hi=0, in_size=(a.out - 1) * a.stride + a.effective_kernel)
            for a in self.layer.axes
        )
        return replace(self, layer=replace(self.layer, axes=axes))

    @property
    def overflow(self) -> str | None:
        """Why the tiles are too large where padding is stored, None if they are not."""
        needed, room = self.padded.cost.footprint.total, self.hardware.buffer_bits
        if needed <= room:
            return None
        return f"with padding stored its tiles take {needed / 8:,.0f} bytes, the buffer has {room / 8:,.0f}"
