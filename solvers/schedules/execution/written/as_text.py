"""A layer's schedule as text: tensors, the buffer's parts, and the loops as a person writes them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby

from dnns.errors import one_line
from solvers.result import number
from solvers.schedules.execution.buffer import NestBuffer
from solvers.schedules.execution.nest import KernelAxis, LoopNest, NestCut, NestKernel, TileLoop
from solvers.schedules.execution.plan import NetworkPlan, ScheduledLayer, ScheduledRun
from solvers.schedules.execution.structure import NestStructure, structure
from solvers.schedules.execution.written.statements import AXES, PARTS_FETCHED, Statements


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
        places = ", ".join(f"{v} = {out}" for v, out in zip(AXES[len(zeros.outputs)], outs, strict=True))
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
    if nest.cut is not None:
        beyond = "what of it is beyond its tile is left out"
        yield f"  streams {nest.cut.tensor}, another sub-tile in each inner step; {beyond}"
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
    axes = list(zip(AXES[len(kernel.axes)], kernel.axes, strict=True))
    outs = ", ".join(f"{v} = {_steps(a.first_output, a.output_step, a.out)}" for v, a in axes)
    taps = ", ".join(f"{v} = {_steps(a.first_tap, a.tap_stride, a.taps)}" for v, a in axes)
    return f"outputs {outs}; taps {taps}"


def _reads(kernel: NestKernel) -> str:
    """Which ifmap element each of the kernel's outputs reads with each of its taps, both counted from 0."""
    axes = list(zip(AXES[len(kernel.axes)], kernel.axes, strict=True))
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
    buffer, axis = NestBuffer(nest), AXES[nest.axes][nest.slice_axis]
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
    whole, cut = Statements(nest, shape), nest.cut
    streamed = None if cut is None else cut.tensor
    for depth in range(len(shape.loops) + 1):
        indent = "  " * (depth + 2)
        if depth:
            yield f"{indent[2:]}{_header(shape.loops[depth - 1], whole.variable(shape.loops[depth - 1]))}"
        for part in PARTS_FETCHED:
            if shape.depth[part] == depth and part != streamed:
                yield from (f"{indent}{line}" for line in whole.fetch(part))
    for line in (whole.compute(),) if cut is None else _inner_text(nest, shape, cut):
        yield f"{indent}{line}"
    if streamed != "ofmap":
        yield f"{'  ' * (shape.depth['ofmap'] + 2)}{whole.store()}"


def _inner_text(nest: LoopNest, shape: NestStructure, cut: NestCut) -> Iterator[str]:
    """The inner steps of a tile."""
    part, indent = Statements(nest, shape, cut.sizes), ""
    for name, size in cut.sizes.items():
        yield f"{indent}{part.inner_header(nest.loop[name], size)}"
        indent += "  "
    yield from (f"{indent}{line}" for line in part.fetch(cut.tensor))
    yield f"{indent}{part.compute()}"
    if cut.tensor == "ofmap":
        yield f"{indent}{part.store()}"


def _header(loop: TileLoop, name: str) -> str:
    if loop.size == 1:
        return f"for {name} in 0:{loop.extent}"
    last = loop.extent - (loop.trips - 1) * loop.size
    edge = "" if last == loop.size else f", the last of {last:,}"
    return f"for {name} in 0:{loop.extent} step {loop.size}    ({loop.trips:,} tiles{edge})"
