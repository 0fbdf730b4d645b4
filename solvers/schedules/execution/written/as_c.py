"""A schedule as C99: tables, and the loops of each nest with calls for transfers and computations.

What the calls do stands in ``c/machine.c``, for a user to replace; which boxes tiles are in ``c/tiles.c``;
a program that runs the layers on random integers against a direct convolution in ``c/check.c`` and
``c/main.c``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files

from dnns.errors import one_line
from solvers.schedules.execution.buffer import PARTS, NestBuffer
from solvers.schedules.execution.events import ZeroOutputs
from solvers.schedules.execution.nest import KernelAxis, LoopNest, TileLoop, outputs_named
from solvers.schedules.execution.plan import NetworkPlan, ScheduledLayer, ScheduledRun
from solvers.schedules.execution.structure import structure
from solvers.schedules.execution.written.as_text import layer_text

_TRIVIAL = KernelAxis(1, 1, 1, 1, 0, 1)
_PLACES = {"groups": "g", "outputs": "co", "in_channels": "ci", "batch": "n"}


def program(plan: NetworkPlan, layers: Sequence[ScheduledLayer]) -> Iterator[str]:
    """The whole program, piece by piece; what is not shown is named in its first comment."""
    yield f"/* Schedule of {_comment(plan.network)}. Checks itself: cc -std=c99 -O2 FILE && ./a.out [LAYER]\n"
    yield from (
        f" * {_comment(layer.name)}: not shown: {_comment(layer.not_in_c)}\n"
        for layer in layers
        if layer.not_in_c
    )
    yield " */\n"
    yield from (_fixed("machine.c"), _fixed("tiles.c"))
    shown = [layer for layer in layers if not layer.not_in_c]
    for number, layer in enumerate(shown):
        yield from (f"{line}\n" for line in _layer(layer, number))
    yield _fixed("layers.c")
    yield "static const struct layer layers[] = {\n"
    yield from (f"    {_row(layer, number)},\n" for number, layer in enumerate(shown))
    yield "};\n\n"
    yield _fixed("main.c")


def _fixed(name: str) -> str:
    return (files("solvers.schedules.execution") / "c" / name).read_text(encoding="utf-8")


def _comment(text: str) -> str:
    """Text that ends no comment."""
    return one_line(text).replace("*/", "* /")


def _literal(text: str) -> str:
    """Text as a C string: what is beyond ASCII as UTF-8 in octal."""
    escaped = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{"".join(escaped)}"'


def _layer(layer: ScheduledLayer, number: int) -> Iterator[str]:
    yield f"/* ---- Schedule {'-' * 90}"
    yield from (
        f" * {line.replace('*/', '* /')}" for text in layer_text(layer) for line in text.splitlines() if line
    )
    yield " */"
    calls = []
    for place, run in enumerate(layer.runs):
        for zeros in run.zeros:
            calls.append(f"dma_zeros(&(struct box){_box(zeros)}); /* {_comment(zeros.name)} */")
        for each, nest in enumerate(run.nests):
            name = f"{number}_{place}_{each}"
            yield from _nest(nest, run, name)
            calls.append(f"run_{name}();")
    yield f"/* {_comment(layer.name)} */"
    yield f"static void layer_{number}(void) {{"
    yield from (f"    {call}" for call in calls)
    yield "}"
    yield ""


def _box(zeros: ZeroOutputs) -> str:
    missing = 5 - len(zeros.shape)
    shape = (*zeros.shape[:2], *[1] * missing, *zeros.shape[2:])
    strides = (*zeros.strides[:2], *[0] * missing, *zeros.strides[2:])
    return _braced([str(zeros.offset), _numbers(shape), _numbers(strides)])


def _braced(items: Sequence[str]) -> str:
    return f"{{{', '.join(items)}}}"


def _numbers(values: Sequence[int]) -> str:
    return _braced([str(value) for value in values])


def _nest(nest: LoopNest, run: ScheduledRun, name: str) -> Iterator[str]:
    """Tables of a nest, and the function that runs it."""
    rounds = any(loop.name == "rounds" for loop in nest.loops)
    if rounds:
        for k, kernel in enumerate(nest.kernels):
            yield f"static const long rounds_{name}_{k}[] = {_numbers(kernel.filters)};"
    yield f"static const struct kernel kernels_{name}[] = {{"
    for k, kernel in enumerate(nest.kernels):
        axes = [_axis(axis) for axis in (*[_TRIVIAL] * (3 - nest.axes), *kernel.axes)]
        packed = f"rounds_{name}_{k}" if rounds else "0"
        yield f"    {_braced([_literal(kernel.name), packed, _braced(axes)])},"
    yield "};"
    yield f"static const struct nest nest_{name} = {{"
    yield from (f"    .{field} = {value}," for field, value in _fields(nest, run, name))
    yield "};"
    yield from _function(nest, name)


def _axis(axis: KernelAxis) -> str:
    reads = (axis.ifmap, axis.out, axis.taps, axis.stride, axis.origin, axis.tap_step)
    return _numbers((*reads, axis.first_output, axis.output_step, axis.first_tap, axis.tap_stride))


def _fields(nest: LoopNest, run: ScheduledRun, name: str) -> Iterator[tuple[str, str]]:
    buffer, missing, loop = NestBuffer(nest), 3 - nest.axes, nest.loop
    tiles = (*[1] * missing, *(loop[f"spatial.{a}"].size for a in range(nest.axes)))
    yield "name", _literal(nest.name)
    yield from (("images", str(nest.batch)), ("channels", str(nest.in_channels)))
    yield "filters", str(nest.out_channels)
    yield "image_tile", str(loop["batch"].size)
    yield "channel_tile", str(loop["in_channels"].size)
    yield "filter_tile", str(loop["outputs"].size)
    yield "tile", _numbers(tiles)
    yield "channel_trips", str(loop["in_channels"].trips)
    yield "slides", str(-1 if nest.slides is None else nest.slides + missing)
    yield "slice_axis", str(nest.slice_axis + missing)
    yield "slices", str(buffer.slices)
    yield "slice_words", str(buffer.slice_words)
    yield "copies", str(nest.copies)
    yield "copy_words", _numbers([buffer.words[part] for part in PARTS])
    yield "stride", _braced([_numbers(strides) for strides in _strides(nest)])
    yield "transposed", str(int(nest.transposed))
    yield "kernels", str(len(nest.kernels))
    yield "kernel", f"kernels_{name}"
    parts = [_numbers((part.address, part.width, part.copies * part.words)) for part in run.parts]
    yield "part", f"{_braced(parts)} /* ifmap, ofmap, weights: bit where it begins, bits of a word, words */"


def _strides(nest: LoopNest) -> Iterator[tuple[int, ...]]:
    """Of ifmap, ofmap and weights in DRAM, with three axes, weights as filter, channel, taps."""
    for place in (0, 2, 1):
        first, second, *axes = nest.tensors[place].strides
        if place == 1 and nest.transposed:
            first, second = second, first
        yield (first, second, *[0] * (3 - nest.axes), *axes)


def _function(nest: LoopNest, name: str) -> Iterator[str]:
    """The loops; tensors move where they change."""
    shape, missing = structure(nest), 3 - nest.axes
    yield f"static void run_{name}(void) {{"
    yield "    struct at at = {0, 0, 0, 0, {0, 0, 0}};"
    yield f"    begin(&nest_{name});"
    goes_on = "0" if nest.slides is None else f"at.axis[{nest.slides + missing}] > 0"
    calls = {
        "weights": "fetch_weights(&at);",
        "ifmap": f"fetch_ifmap(&at, {goes_on});",
        "ofmap": "begin_ofmap();",
    }
    for depth in range(len(shape.loops) + 1):
        indent = "    " * (depth + 1)
        if depth:
            yield f"{indent[4:]}{_for(shape.loops[depth - 1], missing)}"
        yield from (
            f"{indent}{calls[part]}" for part in ("ifmap", "weights", "ofmap") if shape.depth[part] == depth
        )
    yield f"{indent}compute_tile(&at);"
    for depth in range(len(shape.loops), -1, -1):
        indent = "    " * (depth + 1)
        if shape.depth["ofmap"] == depth:
            yield f"{indent}write_ofmap(&at);"
        yield f"{indent[4:]}}}" if depth else "    end();"
    yield "}"
    yield ""


def _for(loop: TileLoop, missing: int) -> str:
    name = outputs_named(loop.name)
    at = (
        f"at.{_PLACES[name]}"
        if name in _PLACES
        else f"at.axis[{int(name.removeprefix('spatial.')) + missing}]"
    )
    last = loop.extent - (loop.trips - 1) * loop.size
    told = f"{loop.name}: {loop.size} of {loop.extent}" + ("" if last == loop.size else f", the last {last}")
    return f"for ({at} = 0; {at} < {loop.trips}; {at}++) {{ /* {told} */"


def _row(layer: ScheduledLayer, number: int) -> str:
    """What the self-check must know of a layer."""
    shape, missing = layer.shape, 3 - len(layer.shape["axes"])
    naive = layer.treatment == "naive"
    strides = [axis["stride"] for axis in shape["axes"]]

    def three(values: Sequence[int], default: int) -> str:
        return _numbers((*[default] * missing, *values))

    return _braced(
        [
            _literal(layer.name),
            f"layer_{number}",
            str(int(layer.transposed)),
            str(layer.groups),
            str(shape["batch"]),
            str(shape["out_channels"]),
            str(shape["in_channels"]),
            three(layer.tensors[0].shape[2:], 1),
            three(layer.tensors[2].shape[2:], 1),
            three([axis["kernel"] for axis in shape["axes"]], 1),
            three([1] * len(strides) if naive else strides, 1),
            three([axis["dilation"] for axis in shape["axes"]], 1),
            three([axis["pad_before"] for axis in shape["axes"]], 0),
            three(strides if naive else [1] * len(strides), 1),
        ]
    )
