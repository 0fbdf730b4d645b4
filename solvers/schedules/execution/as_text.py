"""A layer's schedule as text: tensors, the buffer's parts, and the loops as a person writes them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby

from dnns.errors import one_line
from solvers.result import number
from solvers.schedules.execution.buffer import NestBuffer, PartName
from solvers.schedules.execution.nest import (
    Interval,
    KernelAxis,
    LoopNest,
    NestKernel,
    TileLoop,
    outputs_named,
)
from solvers.schedules.execution.plan import NetworkPlan, ScheduledLayer, ScheduledRun
from solvers.schedules.execution.structure import NestStructure, structure

_AXES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}
_SHORT = {"groups": "g", "batch": "n", "out_channels": "co", "rounds": "r", "in_channels": "ci"}


def heading(plan: NetworkPlan) -> str:
    """The machine in a line, and how ranges are to be read."""
    machine = plan.machine
    side = machine.sa_size
    rows, cols = (side, side) if isinstance(side, int) else side
    copies = "two copies of each tile, in turn" if machine.double_buffered else "one copy of each tile"
    return (
        f"{one_line(plan.network)}: array {rows} x {cols}, {machine.dataflow} stationary in the array; "
        f"buffer {machine.bufsize:,} bytes, {copies}\n"
        "a:b is a, a+1, .. b-1; what of it is beyond an extent is left out, which of the ifmap is padding\n"
    )


def layer_text(layer: ScheduledLayer) -> Iterator[str]:
    """The schedule of a layer, line by line."""
    shape = " x ".join(map(str, (layer.shape["out_channels"], *(a["ofmap"] for a in layer.shape["axes"]))))
    source = " x ".join(map(str, (layer.shape["in_channels"], *(a["ifmap"] for a in layer.shape["axes"]))))
    groups = f", {layer.groups} groups of" if layer.groups > 1 else ","
    how = f" {layer.treatment}" if layer.treatment else ""
    yield f"\n{one_line(layer.name)}: {layer.op}{how}{groups} {source} -> {shape}{_window(layer)}"
    if layer.unshown:
        yield f"  not shown: {layer.unshown}"
        return
    if layer.note:
        yield f"  note: {layer.note}"
    for tensor in layer.tensors:
        dims = ", ".join(f"{dim} {size:,}" for dim, size in zip(tensor.dims, tensor.shape, strict=True))
        inserted = ", with zeros inserted" if tensor.name == "ifmap" and layer.treatment == "naive" else ""
        yield f"  DRAM    {tensor.name:<8} {dims}, {layer.bits[tensor.name]} bit{inserted}"
    if any(structure(nest).spills for run in layer.runs for nest in run.nests[:1]):
        yield f"  DRAM    partial sums in the ofmap's shape, {layer.bits['partial_sums']} bit"
    for run in layer.runs:
        yield from _run_text(layer, run)


def _window(layer: ScheduledLayer) -> str:
    axes = layer.shape["axes"]

    def each(label: str, values: list[str], default: str) -> str:
        if set(values) == {default}:
            return ""
        return f", {label} {values[0] if len(set(values)) == 1 else ' x '.join(values)}"

    padding = [f"{a['pad_before']}:{a['pad_after']}" for a in axes]
    return (
        f", kernel {' x '.join(str(a['kernel']) for a in axes)}"
        + each("stride", [str(a["stride"]) for a in axes], "1")
        + each("dilation", [str(a["dilation"]) for a in axes], "1")
        + each("padding", padding, "0:0")
    )


def _run_text(layer: ScheduledLayer, run: ScheduledRun) -> Iterator[str]:
    repeats = f", {run.repeats} times, each on tensors of its own" if run.repeats > 1 else ""
    for zeros in run.zeros:
        outs = (_steps(o.start, o.step, len(o)) for o in zeros.outputs)
        places = ", ".join(f"{v} = {out}" for v, out in zip(_AXES[len(zeros.outputs)], outs, strict=True))
        yield f"  {one_line(zeros.name)}: no tap reaches outputs {places}: write zeros{repeats}"
    if not run.nests:
        return
    if layer.transposed or repeats:
        yield f"  {one_line(run.name)}{_of_how_many(run)}{repeats}"
    nest = run.nests[0]
    for kernel in (kernel for alike in run.nests for kernel in alike.kernels):
        placed = layer.transposed and layer.treatment != "naive"
        yield (
            f"    {one_line(kernel.name)}: {_place(kernel)}; {_reads(kernel)}"
            if placed
            else f"  reads   {_reads(kernel)}"
        )
    if nest.loops and any(loop.name == "rounds" for loop in nest.loops):
        yield from _rounds(nest)
    yield from _buffer_text(nest, run)
    yield from _loops_text(nest, structure(nest))
    if run.traffic is not None:
        yield f"  words   {', '.join(f'{name} {words:,}' for name, words in run.traffic.items())}"


def _of_how_many(run: ScheduledRun) -> str:
    if len(run.nests) > 1:
        return f": {len(run.nests)} sub-convolutions one after another, the same nest at different places"
    if run.nests and len(run.nests[0].kernels) > 1:
        return f": {len(run.nests[0].kernels)} sub-convolutions together, on the same ifmap tiles"
    return ""


def _place(kernel: NestKernel) -> str:
    """Which outputs of a deconvolution a sub-convolution makes, by which taps."""
    axes = list(zip(_AXES[len(kernel.axes)], kernel.axes, strict=True))
    outs = ", ".join(f"{v} = {_steps(a.first_output, a.output_step, a.out)}" for v, a in axes)
    taps = ", ".join(f"{v} = {_steps(a.first_tap, a.tap_stride, a.taps)}" for v, a in axes)
    return f"outputs {outs}; taps {taps}"


def _reads(kernel: NestKernel) -> str:
    """Which ifmap element each of the kernel's outputs reads with each of its taps, both counted from 0."""
    axes = list(zip(_AXES[len(kernel.axes)], kernel.axes, strict=True))
    return (
        f"output [{', '.join(v for v, _ in axes)}] with tap [{', '.join(f'k{v}' for v, _ in axes)}] reads "
        + (f"ifmap [{', '.join(_read(v, a) for v, a in axes)}]")
    )


def _read(name: str, axis: KernelAxis) -> str:
    """An element as a sum, what is 0 or a factor of 1 left out."""
    terms = [(axis.stride, name), (axis.tap_step if axis.taps > 1 else 0, f"k{name}"), (axis.origin, "")]
    text = "".join(
        f"{'-' if n < 0 else '+'}{abs(n) if abs(n) > 1 or not v else ''}{v}" for n, v in terms if n
    )
    return text.removeprefix("+")


def _steps(first: int, step: int, count: int) -> str:
    numbers = [first + step * i for i in range(count)]
    return ", ".join(map(str, numbers)) if count <= 4 else f"{numbers[0]}, {numbers[1]}, .. {numbers[-1]}"


def _rounds(nest: LoopNest) -> Iterator[str]:
    """Filters of each sub-convolution in each round, rounds that are alike in one line."""
    rounds = [tuple(kernel.filters[r] for kernel in nest.kernels) for r in range(nest.loop["outputs"].trips)]
    first = 0
    for filters, alike in groupby(rounds):
        stop = first + len(list(alike))
        which = f"round {first}" if stop == first + 1 else f"rounds {first}:{stop}, each"
        names = [(n, kernel.name) for n, kernel in zip(filters, nest.kernels, strict=True) if n]
        told = ", ".join(f"{n} of {name}" for n, name in names)
        if len(names) == len(filters) > 1 and len(set(filters)) == 1:
            told = f"{filters[0]} of each sub-convolution"
        yield f"    {which}: the next filters, {told}"
        first = stop


def _buffer_text(nest: LoopNest, run: ScheduledRun) -> Iterator[str]:
    buffer, axis = NestBuffer(nest), _AXES[nest.axes][nest.slice_axis]
    for part in run.parts:
        first, size = (_bytes(bits) for bits in (part.address, part.bits))
        copies = f"{part.copies} x {part.words:,} words of {part.width} bit"
        ring = ""
        if part.name == "ifmap":
            each = f"{buffer.slices:,}" if nest.slides is None else f"in all a ring of {buffer.ring:,}"
            ring = f", {each} slices of {axis}, {buffer.slice_words:,} words a slice"
        yield f"  buffer  {part.name:<8} from byte {first}, {size} bytes: {copies}{ring}"


def _bytes(bits: int) -> str:
    return f"{number(Fraction(bits, 8)):,}"


def _loops_text(nest: LoopNest, shape: NestStructure) -> Iterator[str]:
    names = [_variable(loop.name, nest.axes) for loop in shape.loops]
    writer = _Writer(nest, shape)
    for depth in range(len(shape.loops) + 1):
        indent = "  " * (depth + 2)
        if depth:
            yield f"{indent[2:]}{_header(shape.loops[depth - 1], names[depth - 1])}"
        for line in writer.fetches(depth):
            yield f"{indent}{line}"
    yield f"{indent}{writer.compute()}"
    yield f"{'  ' * (shape.depth['ofmap'] + 2)}{writer.store()}"


def _variable(loop: str, axes: int) -> str:
    return _SHORT[loop] if loop in _SHORT else _AXES[axes][int(loop.removeprefix("spatial."))]


def _header(loop: TileLoop, name: str) -> str:
    if loop.size == 1:
        return f"for {name} in 0:{loop.extent}"
    last = loop.extent - (loop.trips - 1) * loop.size
    edge = "" if last == loop.size else f", the last of {last:,}"
    return f"for {name} in 0:{loop.extent} step {loop.size}    ({loop.trips:,} tiles{edge})"


class _Writer:
    """Statements of a nest."""

    def __init__(self, nest: LoopNest, shape: NestStructure) -> None:
        self.nest, self.shape = nest, shape
        self.loops = {outputs_named(loop.name) for loop in shape.loops}

    def fetches(self, depth: int) -> Iterator[str]:
        """What is fetched at the beginning of a loop's body."""
        if self.shape.depth["ifmap"] == depth:
            yield self._ifmap() + self._kept("ifmap")
        if self.shape.depth["weights"] == depth:
            yield f"fetch weights{self._weights()}{self._kept('weights')}"
        if self.shape.depth["ofmap"] == depth and self.shape.spills:
            yield f"if ci > 0: fetch ofmap{self._ofmap()}    # partial sums"

    def _kept(self, part: PartName) -> str:
        """Loops that run while a tile stays."""
        inside = self.shape.loops[self.shape.depth[part] :]
        names = ", ".join(_variable(loop.name, self.nest.axes) for loop in inside)
        return f"    # kept for all {names}" if inside else ""

    def compute(self) -> str:
        """What the array does with a tile."""
        several = "in_channels" in self.loops
        begins = "= at ci = 0, then +=" if several else "="
        return f"compute ofmap{self._ofmap()} {begins} weights * ifmap"

    def store(self) -> str:
        """Where an ofmap tile goes to."""
        kind = "    # spilled: partial sums until the last ci" if self.shape.spills else self._kept("ofmap")
        return f"write ofmap{self._ofmap()}{kind}"

    def _range(self, loop: str) -> str:
        """A tile along a loop."""
        tile, name = self.nest.loop[loop], _variable(self.nest.loop[loop].name, self.nest.axes)
        if loop not in self.loops:
            return f"0:{tile.extent}"
        return name if tile.size == 1 else f"{name}:{name}+{tile.size}"

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
        name = _AXES[self.nest.axes][self.nest.slides]
        return f"{text}; if {name} > 0 only what is new"

    def _window(self, axis: int) -> str:
        """The ifmap elements that a tile needs: the hull of what the kernels read, beyond the ifmap too."""
        loop, kernels = self.nest.loop[f"spatial.{axis}"], [k.axes[axis] for k in self.nest.kernels]
        reads = [_unclipped(kernel, Interval(0, min(loop.size, kernel.out))) for kernel in kernels]
        low, high = min(r.start for r in reads), max(r.stop for r in reads)
        if f"spatial.{axis}" not in self.loops:
            window = self.nest.windows[axis][0]
            return f"{window.start}:{window.stop}"
        name, stride = _variable(loop.name, self.nest.axes), kernels[0].stride
        times = name if stride == 1 else f"{stride}{name}"
        return f"{times}{low:+d}:{times}{high:+d}".replace("+0", "")


def _unclipped(axis: KernelAxis, outputs: Interval) -> Interval:
    reach = (axis.taps - 1) * axis.tap_step
    first = outputs.start * axis.stride + axis.origin + min(0, reach)
    return Interval(first, (outputs.stop - 1) * axis.stride + axis.origin + max(0, reach) + 1)
