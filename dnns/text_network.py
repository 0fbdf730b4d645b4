"""Networks in the text format of the original ASV dataflow optimizer: one layer a line.

The number of fields tells the kind of a line: 5 a 2-D convolution, 6 a 3-D one, 4 a multi-layer perceptron,
3 a repeated fully connected layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dnns.axes import Axis, TransposedAxis
from dnns.errors import InputError
from dnns.files import read_text
from dnns.layer import Deconvolution, Layer, Network, Node, Operator
from dnns.windows import MAX_NODES, bounded, same_padding, transposed_axis, window_axis

Shape = tuple[int, ...]

_KINDS = (
    "3 (count, in_channels, out_channels), 4 (points, features, in_channels, out_channels), 5 (2-D), 6 (3-D)"
)
_WINDOW_FIELDS = {
    5: ("out_channels", "kernel_h", "kernel_w", "stride"),
    6: ("out_channels", "kernel_h", "kernel_w", "kernel_d", "stride"),
}
_DECONVOLUTION = {"true": True, "false": False}


@dataclass(frozen=True)
class _State:
    """What the lines so far have made.

    Attributes:
        given: the input shapes that may still be used, by number of fields.
        used: network inputs that were used.
        shape: of the last layer's output, None before the first line.
        source: name of the node that produced it.
        fields: number of fields of the last line.
    """

    given: dict[int, tuple[str, Shape | None]]
    used: tuple[tuple[str, Shape], ...] = ()
    shape: Shape | None = None
    source: str = ""
    fields: int = 0


def read_text_network(path: str | Path, input: Shape | None = None, input_3d: Shape | None = None) -> Network:
    """Read a network from a text file.

    Args:
        path: the file.
        input: shape (C, H, W) of the first five-field line's ifmap.
        input_3d: shape (C, D, H, W) of the first six-field line's ifmap. An input that no line needs is
            not used.

    Raises:
        InputError: naming the line.
    """
    state = _State(
        {
            5: ("input", _checked(path, "input", input, 3)),
            6: ("input_3d", _checked(path, "input_3d", input_3d, 4)),
        }
    )
    nodes: list[Node] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = [field.strip() for field in line.partition("#")[0].split(",")]
        if fields == [""]:
            continue
        try:
            state, node = _node(state, f"layer{len(nodes) + 1}", fields)
        except ValueError as error:
            raise InputError(path, f"line {number}", str(error)) from None
        nodes.append(node)
        if len(nodes) > MAX_NODES:
            raise InputError(path, f"line {number}", f"more than {MAX_NODES} layers")
    if not nodes:
        raise InputError(path, "", "has no layers, at least one is needed")
    return Network(Path(path).stem, state.used, tuple(nodes))


def _checked(path: str | Path, name: str, shape: Shape | None, rank: int) -> Shape | None:
    if shape is None:
        return None
    if len(shape) != rank:
        raise InputError(
            path, name, f"got {len(shape)} numbers {list(shape)}, allowed: {rank}, channels first"
        )
    try:
        return tuple(bounded("a size", size) for size in shape)
    except ValueError as error:
        raise InputError(path, name, str(error)) from None


def _node(state: _State, name: str, fields: list[str]) -> tuple[_State, Node]:
    """The layer of one line, and the state after it."""
    count = len(fields)
    if count in (3, 4):
        layer: Operator = _product(name, fields)
    elif count in _WINDOW_FIELDS:
        state = _feed(state, count)
        layer = _window(name, fields, state.shape or ())
    else:
        raise ValueError(f"got {count} fields, allowed: {_KINDS}")
    shape = (layer.out_channels, *(axis.out for axis in layer.axes))
    inputs = (state.source,) if state.source else ()
    node = Node(name, layer.op, inputs, shape, layer, layer.weight_words)
    return replace(state, shape=shape, source=name, fields=count), node


def _feed(state: _State, count: int) -> _State:
    """The state with the ifmap of a 2-D or 3-D line in place: the layer before, or a network input."""
    name, given = state.given[count]
    if name not in (used for used, _ in state.used):
        if count == 5 and state.fields == 6:
            raise ValueError("got 5 fields (2-D) after a 3-D layer, allowed: 6")
        if given is None:
            sizes = "C, H, W" if count == 5 else "C, D, H, W"
            raise ValueError(f"needs the shape of its ifmap, {name} ({sizes}) is not given")
        return replace(state, used=(*state.used, (name, given)), shape=given, source=name)
    if len(state.shape or ()) != count - 2:
        raise ValueError(
            f"got {count} fields ({count - 3}-D) after a layer of shape {list(state.shape or ())}"
        )
    return state


def _window(name: str, fields: list[str], shape: Shape) -> Operator:
    numbers = [_number(*pair) for pair in zip(_WINDOW_FIELDS[len(fields)], fields[:-1], strict=True)]
    out_channels, *kernel, stride = numbers
    if len(kernel) == 3:  # written H W D, kept D H W like the shape
        kernel = [kernel[2], *kernel[:2]]
    transposed = _DECONVOLUTION.get(fields[-1].lower())
    if transposed is None:
        raise ValueError(f"deconv is {fields[-1]!r}, allowed: True or False")
    sizes = list(zip(shape[1:], kernel, strict=True))
    if transposed:
        axes = tuple(_up_sampling(size, taps, stride) for size, taps in sizes)
        return Deconvolution(name, out_channels, shape[0], axes)
    return Layer(
        name, out_channels, shape[0], tuple(_convolution(size, taps, stride) for size, taps in sizes)
    )


def _convolution(size: int, kernel: int, stride: int) -> Axis:
    return window_axis(size, kernel, stride, pads=same_padding(size, kernel, stride))


def _up_sampling(size: int, kernel: int, stride: int) -> TransposedAxis:
    """1: stride 2 with out = 2*in; 2: stride 1 with out = in. The original tool's meaning of the field."""
    low = (kernel - 1) // 2
    if stride == 1:
        return transposed_axis(size, kernel, 2, pads=(low, low), output_padding=2 + 2 * low - kernel)
    if stride == 2:
        return transposed_axis(size, kernel, 1, pads=(low, kernel // 2))
    raise ValueError(f"stride of a deconvolution is {stride}, allowed: 1 (up-sample by two) or 2 (same size)")


def _product(name: str, fields: list[str]) -> Layer:
    """A matrix product: rows x in_channels by in_channels x out_channels."""
    if len(fields) == 3:
        names = ("count", "in_channels", "out_channels")
        count, in_channels, out_channels = map(_number, names, fields)
        rows = 1
    else:
        names4 = ("points", "features", "in_channels", "out_channels")
        points, features, in_channels, out_channels = map(_number, names4, fields)
        count, rows = 1, bounded("points * features", points * features)
    return Layer(name, out_channels, in_channels, (Axis(rows, in_size=rows),), op="fc", count=count)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20):
        raise ValueError(f"{name} is {text[:40]!r}, allowed: a whole number of at least 1")
    return bounded(name, int(text))
