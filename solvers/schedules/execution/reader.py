"""A result's JSON as the nests that it says to run, layer by layer; what does not fit together is told."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dnns.errors import InputError
from dnns.yaml_reader.validation import dotted, fault
from solvers.network.data.fields import LayersResult
from solvers.network.data.mapping_fields import GeometryData
from solvers.network.data.network_fields import NetworkResult
from solvers.scenario.files import result_data
from solvers.scenario.hardware import HardwareModel
from solvers.schedules.execution.buffer import PARTS, BufferPart, NestBuffer
from solvers.schedules.execution.events import ZeroOutputs
from solvers.schedules.execution.geometry import (
    check_numbers,
    check_shape,
    inner_steps,
    loops,
    mirrored_axis,
    plain_axis,
    require,
    sliding,
    spatial_sizes,
    tensors,
    zeros,
)
from solvers.schedules.execution.nest import LoopNest, NestCut, NestKernel
from solvers.schedules.execution.plan import NetworkPlan, ScheduledLayer, ScheduledRun


def read_plan(path: str | Path) -> NetworkPlan:
    """Read the JSON of a result; raises InputError for what is none, or does not fit together."""
    data, _ = result_data(path)
    kind: TypeAdapter[Any] = TypeAdapter(NetworkResult if "network_level" in data else LayersResult)
    try:
        kind.validate_python(data, strict=True)
    except ValidationError as error:
        where, _, problem = fault(error, data)
        raise InputError(path, dotted(where), problem) from None
    try:
        machine = HardwareModel.model_validate(data["hardware"])
    except ValidationError as error:
        where, _, problem = fault(error, data["hardware"])
        raise InputError(path, dotted(("hardware", *where)), problem) from None
    if machine.padding != "clipped":
        problem = f"got {machine.padding}, schedules are shown with padding that is not stored: clipped"
        raise InputError(path, "hardware.padding", problem)
    layers = []
    for number, layer in enumerate(data["layers"]):
        try:
            layers.append(read_layer(layer, machine, f"layers[{number}]"))
        except ValueError as error:
            raise InputError(path, *error.args) from None
    return NetworkPlan(data["network"], machine, tuple(layers))


def read_layer(data: dict[str, Any], machine: HardwareModel, where: str) -> ScheduledLayer:
    """One layer of a result.

    Args:
        data: as the JSON has it, of the right types.
        machine: gives the copies of a tile.
        where: path of the layer.

    Raises:
        ValueError: of the path of a field and what is wrong with it.
    """
    return _Reader(data, machine, where).layer()


_BITS = ("ifmap", "weights", "ofmap", "partial_sums")
_WORDS = ("ifmap", "weights", "ofmap_write", "ofmap_read")


class _Reader:
    """One layer of a result."""

    def __init__(self, data: dict[str, Any], machine: HardwareModel, where: str) -> None:
        self.data, self.where, self.shape = data, where, data["geometry"]
        self.copies = 2 if machine.double_buffered else 1
        self.groups = int(data["parts"][0]["groups"]) if data["parts"] else 1
        self.transposed, self.naive = data["op"] == "deconv", data["deconvolution"] == "naive"
        require(self.groups >= 1, f"{where}.parts[0].groups", f"got {self.groups}, must be at least 1")
        check_shape(self.shape, f"{where}.geometry")
        check_numbers(data["bits"], _BITS, 1, f"{where}.bits")
        inserted = data["parts"][0]["geometry"] if self.naive and data["parts"] else None
        if inserted is not None:
            check_shape(inserted, f"{where}.parts[0].geometry")
        self.tensors = tensors(self.shape, inserted or self.shape, self.groups, self.transposed)

    def layer(self) -> ScheduledLayer:
        """What it is and how it runs."""
        data, shape, unshown = self.data, self.shape, self._unshown()
        self.note = "" if unshown else self._note()
        runs = () if unshown else tuple(self._runs())
        side = "ifmap" if self.transposed and not self.naive else "ofmap"
        outputs = shape["batch"] * shape["out_channels"] * prod(axis[side] for axis in shape["axes"])
        taps = prod(axis["kernel"] for axis in shape["axes"])
        return ScheduledLayer(
            data["name"],
            data["op"],
            data["deconvolution"],
            shape,
            self.groups,
            self.groups * outputs * shape["in_channels"] * taps,
            data["bits"],
            self.tensors,
            runs,
            unshown,
            self.note,
        )

    def _unshown(self) -> str:
        """Why a layer's schedule cannot be shown; "" if it can."""
        data = self.data
        if data.get("error") or any(part.get("error") for part in data["parts"]):
            return "an internal error, no mapping"
        if data.get("stack") is not None:
            return f"in the stack {data['stack']}, run band by band"
        if data.get("on_chip") or data.get("stays"):
            tensors = ", ".join(dict.fromkeys([*data["on_chip"], *data["stays"]]))
            return f"works on what stays on the chip: {tensors}"
        if data.get("mapping") is None:
            for part in data["parts"]:
                if part.get("mapping") is None and (part["geometry"] is not None or "placement" not in part):
                    shared = "stack" in data and self.transposed and data["latency_cycles"] is not None
                    return "shares tiles, in a network as one problem" if shared else "no mapping fits"
        return ""

    def _note(self) -> str:
        """What drain nodes move besides, or instead."""
        if "stack" not in self.data:
            return ""
        words = [part["traffic"] for part in self.data["parts"] if "traffic" in part]
        for word in words:
            check_numbers(word, (*_WORDS, "drain_read"), 0, f"{self.where}.parts.traffic")
        last = sum(word["ofmap_write"] - word["ofmap_read"] for word in words)
        read = sum(word["drain_read"] for word in words)
        computed = prod(self.tensors[2].shape)
        for number, part in enumerate(self.data["parts"]):
            if part["geometry"] is None:
                path = f"{self.where}.parts[{number}].placement"
                computed -= sum(self._zeros(place, path).words for place in part["placement"])
        drained = read or last != computed
        return "the ofmap is drained through other operators, which are not shown" if drained else ""

    def _runs(self) -> Iterator[ScheduledRun]:
        data = self.data
        if data.get("mapping") is not None:
            yield self._shared()
            return
        for number, part in enumerate(data["parts"]):
            yield self._part(part, f"{self.where}.parts[{number}]")

    def _part(self, part: dict[str, Any], where: str) -> ScheduledRun:
        placements = part.get("placement") or [None]
        repeats = max(1, part["count"] // len(placements))
        if part["geometry"] is None:
            written = tuple(self._zeros(place, f"{where}.placement") for place in placements)
            return ScheduledRun(part["name"], (), written, (), None, None, repeats)
        shape, mapping, tile = part["geometry"], part["mapping"], part["mapping"]["tile"]
        check_shape(shape, f"{where}.geometry")
        sizes = {
            "groups": (self.groups, 1),
            "out_channels": (shape["out_channels"], tile["out_channels"]),
            **self._common(shape, tile),
            **spatial_sizes([a["ofmap"] for a in shape["axes"]], tile["spatial"], f"{where}.mapping"),
        }
        order = loops(mapping, sizes, "out_channels", f"{where}.mapping")
        size, extent = tile["out_channels"], shape["out_channels"]
        filters = tuple(min(size, extent - start) for start in range(0, extent, size))
        nests, cut = [], inner_steps(mapping, order, f"{where}.mapping")
        for place in placements:
            name = part["name"] if place is None else f"{self.data['name']}/{place['phase']}"
            kernel = self._kernel(name, shape, place, filters, f"{where}.placement")
            nests.append(self._nest(name, (kernel,), order, sliding(mapping, order, cut), cut))
        parts = self._parts(nests[0], mapping, f"{where}.mapping")
        check_numbers(part["traffic"], _WORDS, 0, f"{where}.traffic")
        traffic = None if self.note else {name: part["traffic"][name] for name in _WORDS}
        return ScheduledRun(part["name"], tuple(nests), (), parts, mapping, traffic, repeats)

    def _shared(self) -> ScheduledRun:
        """Sub-convolutions that share tiles."""
        data, mapping, where = self.data, self.data["mapping"], f"{self.where}.mapping"
        count = mapping["rounds"]
        require(count >= 1, f"{where}.rounds", f"got {count}, must be at least 1")
        grid = [-(-axis["ofmap"] // axis["stride"]) for axis in self.shape["axes"]]
        sizes = {
            "groups": (self.groups, 1),
            "rounds": (count, 1),
            **self._common(self.shape, mapping["tile"]),
            **spatial_sizes(grid, mapping["tile"]["spatial"], where),
        }
        order = loops(mapping, sizes, "rounds", where)
        kernels, written = [], []
        for number, part in enumerate(data["parts"]):
            path, place = f"{self.where}.parts[{number}]", part["placement"][0]
            if part["geometry"] is None:
                written.append(self._zeros(place, f"{path}.placement"))
                continue
            check_shape(part["geometry"], f"{path}.geometry")
            filters, channels = tuple(part["rounds"]), self.shape["out_channels"]
            dealt = len(filters) == count and min(filters) >= 0 and sum(filters) == channels
            require(dealt, f"{path}.rounds", f"must be {count} numbers that add up to {channels}")
            kernels.append(self._kernel(part["name"], part["geometry"], place, filters, f"{path}.placement"))
        require(bool(kernels), f"{self.where}.parts", "no sub-convolution has taps")
        check_numbers(data["traffic"], _WORDS, 0, f"{self.where}.traffic")
        nest = self._nest(data["name"], tuple(kernels), order, sliding(mapping, order))
        parts = self._parts(nest, mapping, where)
        return ScheduledRun(
            data["name"], (nest,), tuple(written), parts, mapping, data["traffic"], max(1, data["count"])
        )

    def _common(self, shape: GeometryData, tile: dict[str, Any]) -> dict[str, tuple[int, int]]:
        return {name: (shape[name], tile[name]) for name in ("in_channels", "batch")}

    def _kernel(
        self, name: str, shape: GeometryData, place: Any, filters: tuple[int, ...], where: str
    ) -> NestKernel:
        same = all(shape[key] == self.shape[key] for key in ("out_channels", "in_channels", "batch"))
        inputs = [axis["ifmap"] for axis in shape["axes"]] == list(self.tensors[0].shape[2:])
        require(same and inputs, where, "channels, batch or ifmap are not the layer's")
        if not self.transposed:
            outs = [axis["ofmap"] for axis in shape["axes"]] == [axis["ofmap"] for axis in self.shape["axes"]]
            require(outs, where, "the ofmap is not the layer's")
            return NestKernel(name, tuple(map(plain_axis, shape["axes"])), filters)
        placed = self._placed(place, where)
        triples = zip(shape["axes"], self.shape["axes"], placed, strict=True)
        axes = (mirrored_axis(axis, layer, at, where) for axis, layer, at in triples)
        return NestKernel(name, tuple(axes), filters)

    def _placed(self, place: Any, where: str) -> list[Any]:
        axes = [None] * len(self.shape["axes"]) if place is None else place["axes"]
        require(len(axes) == len(self.shape["axes"]), where, "must have an entry for each axis")
        return list(axes)

    def _zeros(self, place: Any, where: str) -> ZeroOutputs:
        placed = self._placed(place, where)
        good = all(a["first_output"] >= 0 and a["output_step"] >= 1 for a in placed)
        require(good, where, "first_output must not be below 0, output_step not below 1")
        return zeros(f"{self.data['name']}/{place['phase']}", self.tensors[2], placed)

    def _nest(
        self,
        name: str,
        kernels: tuple[NestKernel, ...],
        order: Any,
        slides: int | None,
        cut: NestCut | None = None,
    ) -> LoopNest:
        shape = self.shape
        channels = shape["out_channels"], shape["in_channels"], shape["batch"]
        placed = self.copies, self.tensors, self.transposed
        return LoopNest(name, self.groups, *channels, kernels, order, slides, *placed, cut)

    def _parts(self, nest: LoopNest, mapping: Any, where: str) -> tuple[BufferPart, ...]:
        """The buffer's parts; raises ValueError if one does not hold its tiles."""
        bits, address, parts = self.data["bits"], 0, []
        several = nest.loop["in_channels"].trips > 1 or (nest.cut and "in_channels" in nest.cut.sizes)
        sums = "partial_sums" if several else "ofmap"
        widths = {"ifmap": bits["ifmap"], "ofmap": bits[sums], "weights": bits["weights"]}
        words = NestBuffer(nest).words
        for name in PARTS:
            size = Fraction(mapping["partition_bytes"][name]) * 8
            part = BufferPart(name, address, int(size), widths[name], words[name], self.copies)
            problem = f"has {float(size) / 8:,g} bytes, {self.copies} tiles take {part.needed / 8:,g}"
            require(part.needed <= part.bits, f"{where}.partition_bytes.{name}", problem)
            address += part.bits
            parts.append(part)
        return tuple(parts)
