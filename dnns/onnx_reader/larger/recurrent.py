"""Recurrent layers written out: one product of all inputs, and the recurrent product once per time step.

The product with the inputs does not wait for the state, so it is one product of ``steps * batch`` rows. The
one with the state has ``batch`` rows and runs once per time step; a ``GRU`` that resets its state before the
product needs two of them, as the second waits for the first. What is done element by element has no MACs.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from dnns.onnx_reader.inference.values import Shape, Value, attributes
from dnns.onnx_reader.larger.writing import Writer

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4, "DynamicQuantizeLSTM": 4}
_STATES = {"RNN": 1, "GRU": 1, "LSTM": 2, "DynamicQuantizeLSTM": 2}


def recurrent(name: str, proto: NodeProto, inputs: Sequence[Value | None]) -> list[NodeProto]:
    """``LSTM``, ``GRU``, ``RNN``, and onnxruntime's ``DynamicQuantizeLSTM``."""
    if len(inputs) < 3 or any(value is None for value in inputs[:3]):
        raise ValueError("needs inputs 0 (X), 1 (W) and 2 (R)")
    x, w, r = (value.known for value in inputs[:3] if value is not None)
    attrs, gates = attributes(proto), _GATES[proto.op_type]
    quantised = proto.op_type.startswith("Dynamic")
    if quantised and len(w) == len(r) == 3:  # its weights are transposed
        w, r = (w[0], w[2], w[1]), (r[0], r[2], r[1])
    hidden = attrs.integer("hidden_size", r[-1] if r else 0)
    directions = {"bidirectional": 2}.get(attrs.text("direction", "forward"), 1)
    fit = w == (directions, gates * hidden, x[-1]) and r == (directions, gates * hidden, hidden)
    if len(x) != 3 or not fit:
        shapes = f"{list(x)}, {list(w)}, {list(r)}"
        raise ValueError(f"X, W and R do not fit {directions} direction(s) of {hidden}: {shapes}")
    batch_first = bool(attrs.integer("layout", 0))
    steps, batch = (x[1], x[0]) if batch_first else x[:2]
    writer, made = Writer(name), []
    source = writer.quantised(proto.input[0]) if quantised else proto.input[0]
    for direction in range(directions):
        label = ("forward.", "backward.")[direction] if directions > 1 else ""
        sizes = (steps, batch, x[-1], hidden, gates)
        early = proto.op_type == "GRU" and not attrs.integer("linear_before_reset", 0)
        made.append(_direction(writer, proto, source, direction, sizes, label, early))
    _outputs(writer, proto, made, (steps, batch, hidden), batch_first)
    return writer.nodes


def _direction(
    writer: Writer,
    proto: NodeProto,
    source: str,
    direction: int,
    sizes: tuple[int, int, int, int, int],
    label: str,
    early_reset: bool,
) -> str:
    """The hidden state of all steps, ``[steps, batch, hidden]``."""
    steps, batch, features, hidden, gates = sizes
    w, r, b, p = (
        writer.slice(tensor, 0, direction, direction + 1) if tensor else ""
        for tensor in (proto.input[i] if i < len(proto.input) else "" for i in (1, 2, 3, 7))
    )
    extra = [tensor for tensor in (b, p) if tensor]
    shape = (steps, batch, gates * hidden)
    quantised = proto.op_type.startswith("Dynamic")
    all_rows = (steps * batch, features, shape[-1])
    state = writer.product((source, w, *extra), all_rows, shape, name=f"{label}input", quantised=quantised)
    pieces = ((0, 2), (2, 3)) if early_reset else ((0, gates),)
    for start, stop in pieces:
        weights = r
        if len(pieces) > 1:
            weights = writer.slice(r, 1, start * hidden, stop * hidden)
        if quantised:
            state = writer.quantised(state)
        state = writer.product(
            (state, weights),
            (batch, hidden, (stop - start) * hidden),
            (steps, batch, hidden),
            name=f"{label}recurrent" + (".candidate" if start else ""),
            count=steps,
            quantised=quantised,
        )
    return state


def _outputs(
    writer: Writer, proto: NodeProto, made: Sequence[str], sizes: tuple[int, int, int], batch_first: bool
) -> None:
    """All states, and the last of each direction, under the operator's own names."""
    steps, batch, hidden = sizes
    names = [*proto.output, "", "", ""]
    directions = len(made)
    if names[0]:
        each = [writer.reshape(state, (steps, 1, batch, hidden)) for state in made]
        whole = writer.concat(each, axis=1) if directions > 1 else each[0]
        writer.transpose(whole, (2, 0, 1, 3) if batch_first else (0, 1, 2, 3), out=names[0])
    order: Shape = (1, 0, 2) if batch_first else (0, 1, 2)
    for name in names[1 : 1 + _STATES[proto.op_type]]:
        if name:
            last = [writer.slice(state, 0, steps - 1, steps) for state in made]
            whole = writer.concat(last, axis=0) if directions > 1 else last[0]
            writer.transpose(whole, order, out=name)
