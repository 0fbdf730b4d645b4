"""Attention written out: projections, the scores as one product, softmax, the context as another.

Heads are independent products (groups). Where several query heads share a head of keys and values, their
rows are put together, so that nothing is counted as fetched twice. A mask saves nothing: every score is
computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import NodeProto

from dnns.onnx_reader.inference.values import Attributes, Shape, Unsupported, Value, attributes
from dnns.onnx_reader.larger.writing import Writer
from dnns.windows import bounded


@dataclass(frozen=True)
class _Heads:
    """A tensor ``[batch, heads, length, size]``."""

    tensor: str
    shape: Shape


def _at(items: Sequence[str], position: int) -> str:
    return items[position] if position < len(items) else ""


def _known(inputs: Sequence[Value | None], position: int, what: str) -> Shape:
    value = inputs[position] if position < len(inputs) else None
    if value is None:
        raise ValueError(f"{what} is missing")
    return value.known


def _divided(what: str, size: int, parts: int) -> int:
    if parts < 1 or size % parts:
        raise ValueError(f"{what} of {size} cannot be divided into {parts} heads")
    return size // parts


def _rank(what: str, shape: Shape, *allowed: int) -> None:
    if len(shape) not in allowed:
        ranks = " or ".join(map(str, allowed))
        raise ValueError(f"{what} {list(shape)} has {len(shape)} dimensions, allowed: {ranks}")


def _split(writer: Writer, tensor: str, shape: Shape, heads: int, what: str) -> _Heads:
    """``[batch, length, heads*size]`` by heads; a tensor of four dimensions is so already."""
    _rank(what, shape, 3, 4)
    if len(shape) == 4:
        return _Heads(tensor, shape)
    batch, length, width = shape
    size = _divided(what, width, heads)
    tensor = writer.transpose(writer.reshape(tensor, (batch, length, heads, size)), (0, 2, 1, 3))
    return _Heads(tensor, (batch, heads, length, size))


def _merged(writer: Writer, heads: _Heads, out: str) -> None:
    """``[batch, length, heads*size]`` again."""
    batch, count, length, size = heads.shape
    tensor = writer.transpose(heads.tensor, (0, 2, 1, 3))
    writer.reshape(tensor, (batch, length, count * size), out=out)


def _after_past(writer: Writer, past: str, inputs: Sequence[Value | None], at: int, new: _Heads) -> _Heads:
    """Keys or values behind those of earlier steps, if there are any."""
    if not past:
        return new
    before = _known(inputs, at, "past")
    _rank("past", before, 4)
    batch, heads, length, size = new.shape
    tensor = writer.concat((past, new.tensor), axis=2)
    return _Heads(tensor, (batch, heads, before[2] + length, size))


def _core(writer: Writer, query: _Heads, key: _Heads, value: _Heads) -> _Heads:
    """Softmax of ``query @ key^T``, times ``value``."""
    batch, heads, length, size = query.shape
    shared, columns = key.shape[1], key.shape[2]
    if (key.shape[0], key.shape[3]) != (batch, size) or value.shape[:3] != key.shape[:3]:
        shapes = ", ".join(str(list(part.shape)) for part in (query, key, value))
        raise ValueError(f"query, key and value do not fit each other: {shapes}")
    rows = _divided("queries", heads, shared) * length
    tensor = query.tensor
    if shared != heads:
        tensor = writer.reshape(tensor, (batch, shared, rows, size))
    keys = writer.transpose(key.tensor, (0, 1, 3, 2))
    scores = writer.op("MatMul", (tensor, keys), name="scores")
    shares = writer.op("Softmax", (scores,), axis=3)
    context = writer.op("MatMul", (shares, value.tensor), name="context")
    bounded("the number of scores", columns)
    if shared != heads:
        context = writer.reshape(context, (batch, heads, length, value.shape[3]))
    return _Heads(context, (batch, heads, length, value.shape[3]))


def attention(name: str, proto: NodeProto, inputs: Sequence[Value | None]) -> list[NodeProto]:
    """``Attention`` of the standard domain."""
    writer, attrs = Writer(name), attributes(proto)
    shapes = [_known(inputs, i, what) for i, what in enumerate(("Q", "K", "V"))]
    heads, shared = attrs.integer("q_num_heads", 0), attrs.integer("kv_num_heads", 0)
    query = _split(writer, proto.input[0], shapes[0], heads, "Q")
    key = _split(writer, proto.input[1], shapes[1], shared, "K")
    value = _split(writer, proto.input[2], shapes[2], shared, "V")
    key = _after_past(writer, _at(proto.input, 4), inputs, 4, key)
    value = _after_past(writer, _at(proto.input, 5), inputs, 5, value)
    made = _core(writer, query, key, value)
    if len(shapes[0]) == 4:
        writer.same(made.tensor, proto.output[0])
    else:
        _merged(writer, made, proto.output[0])
    writer.same(key.tensor, _at(proto.output, 1))
    writer.same(value.tensor, _at(proto.output, 2))
    if _at(proto.output, 3):
        scores = next(n.output[0] for n in writer.nodes if n.name.endswith(".scores"))
        writer.reshape(scores, (*query.shape[:3], key.shape[2]), out=proto.output[3])
    return writer.nodes


def projected_attention(name: str, proto: NodeProto, inputs: Sequence[Value | None]) -> list[NodeProto]:
    """``Attention`` and ``QAttention`` of onnxruntime, which make query, key and value themselves."""
    writer, attrs, quantised = Writer(name), attributes(proto), proto.op_type == "QAttention"
    shape, weights = _known(inputs, 0, "input"), _known(inputs, 1, "weights")
    _rank("input", shape, 3)
    _rank("weights", weights, 2)
    heads = attrs.integer("num_heads", 0)
    widths = attrs.integers("qkv_hidden_sizes") or (_divided("weights", weights[1], 3),) * 3
    if len(widths) != 3 or sum(widths) != weights[1]:
        raise ValueError(f"qkv_hidden_sizes {list(widths)} do not fit weights {list(weights)}")
    if quantised:
        zero_points = (_at(proto.input, 6), _at(proto.input, 7))
        product = writer.op("MatMulInteger", (*proto.input[:2], *zero_points), name="projection")
        product = writer.op("Cast", (product,), to=1)
    else:
        product = writer.op("MatMul", proto.input[:2], name="projection")
    if _at(proto.input, 2):
        product = writer.op("Add", (product, proto.input[2]))
    starts = (0, widths[0], widths[0] + widths[1])
    parts = [
        _split(writer, writer.slice(product, 2, start, start + width), (*shape[:2], width), heads, "width")
        for start, width in zip(starts, widths, strict=True)
    ]
    past = _at(proto.input, 8 if quantised else 4)
    if past:
        _rank("past", _known(inputs, 8 if quantised else 4, "past"), 5)
        parts[1:] = [_from_pair(writer, past, inputs, i, part, quantised) for i, part in enumerate(parts[1:])]
    _merged(writer, _core(writer, *parts), proto.output[0])
    if _at(proto.output, 1):
        pair = [writer.reshape(part.tensor, (1, *part.shape)) for part in parts[1:]]
        writer.concat(pair, axis=0, out=proto.output[1])
    return writer.nodes


def _from_pair(
    writer: Writer, past: str, inputs: Sequence[Value | None], index: int, new: _Heads, quantised: bool
) -> _Heads:
    """Keys or values behind those of a tensor ``[2, batch, heads, length, size]``."""
    before = _known(inputs, 8 if quantised else 4, "past")
    piece = writer.reshape(writer.slice(past, 0, index, index + 1), before[1:])
    batch, heads, length, size = new.shape
    tensor = writer.concat((piece, new.tensor), axis=2)
    return _Heads(tensor, (batch, heads, before[3] + length, size))


def multi_head(name: str, proto: NodeProto, inputs: Sequence[Value | None]) -> list[NodeProto]:
    """``MultiHeadAttention`` of onnxruntime: separate, or query, key and value packed in one tensor."""
    writer, heads = Writer(name), attributes(proto).integer("num_heads", 0)
    shape = _known(inputs, 0, "query")
    if len(shape) == 5:
        query, key, value = (_unpacked(writer, proto.input[0], shape, 3, i) for i in range(3))
    else:
        query = _split(writer, _biased(writer, proto, shape, 0), shape, heads, "query")
        packed = _known(inputs, 1, "key")
        if len(packed) == 5:
            key, value = (_unpacked(writer, proto.input[1], packed, 2, i) for i in range(2))
        else:
            key = _split(writer, _biased(writer, proto, packed, 1, shape[-1]), packed, heads, "key")
            last = _known(inputs, 2, "value")
            start = shape[-1] + packed[-1]
            value = _split(writer, _biased(writer, proto, last, 2, start), last, heads, "value")
    key = _after_past(writer, _at(proto.input, 6), inputs, 6, key)
    value = _after_past(writer, _at(proto.input, 7), inputs, 7, value)
    _merged(writer, _core(writer, query, key, value), proto.output[0])
    writer.same(key.tensor, _at(proto.output, 1))
    writer.same(value.tensor, _at(proto.output, 2))
    return writer.nodes


def _biased(writer: Writer, proto: NodeProto, shape: Shape, position: int, start: int = 0) -> str:
    """An input with its share of the bias of all three added."""
    bias = _at(proto.input, 3)
    if not bias or len(shape) != 3:
        return str(proto.input[position])
    share = writer.slice(bias, 0, start, start + shape[-1])
    return writer.op("Add", (proto.input[position], share))


def _unpacked(writer: Writer, tensor: str, shape: Shape, parts: int, index: int) -> _Heads:
    """One of several tensors packed as ``[batch, length, heads, parts, size]``."""
    batch, length, heads, count, size = shape
    if count != parts:
        raise ValueError(f"packed tensor {list(shape)} holds {count} parts, allowed: {parts}")
    piece = writer.reshape(writer.slice(tensor, 3, index, index + 1), (batch, length, heads, size))
    return _Heads(writer.transpose(piece, (0, 2, 1, 3)), (batch, heads, length, size))


def grouped_query(name: str, proto: NodeProto, inputs: Sequence[Value | None]) -> list[NodeProto]:
    """``GroupQueryAttention`` of onnxruntime: several query heads to a head of keys and values."""
    writer, attrs = Writer(name), attributes(proto)
    heads, shared = attrs.integer("num_heads", 0), attrs.integer("kv_num_heads", 0)
    shape = _known(inputs, 0, "query")
    _rank("query", shape, 3)
    tensors, widths = list(proto.input[:3]), [shape[-1]]
    if _at(proto.input, 1):
        widths += [_known(inputs, i, what)[-1] for i, what in ((1, "key"), (2, "value"))]
    else:
        size = _divided("query", shape[-1], heads + 2 * shared)
        widths, start, tensors = [heads * size, shared * size, shared * size], 0, []
        for width in widths:
            tensors.append(writer.slice(proto.input[0], 2, start, start + width))
            start += width
    there = bool(_at(proto.input, 1))
    lengths = (shape[1], *(_known(inputs, i, "key")[1] if there else shape[1] for i in (1, 2)))
    parts = [
        _split(writer, tensor, (shape[0], length, width), count, "width")
        for tensor, length, width, count in zip(
            tensors, lengths, widths, (heads, shared, shared), strict=True
        )
    ]
    for i in (1, 2):
        joined = _after_past(writer, _at(proto.input, i + 2), inputs, i + 2, parts[i])
        parts[i] = _cut(writer, joined, _total(inputs, attrs))
    _merged(writer, _core(writer, *parts), proto.output[0])
    writer.same(parts[1].tensor, _at(proto.output, 1))
    writer.same(parts[2].tensor, _at(proto.output, 2))
    return writer.nodes


def _total(inputs: Sequence[Value | None], attrs: Attributes) -> int | None:
    """Keys in all, if the graph says how many; a local window is not followed."""
    if attrs.integer("local_window_size", -1) > 0:
        raise Unsupported("attention in a local window is not followed")
    value = inputs[6] if len(inputs) > 6 else None
    return None if value is None or value.data is None else int(value.data.reshape(-1)[0])


def _cut(writer: Writer, heads: _Heads, total: int | None) -> _Heads:
    batch, count, length, size = heads.shape
    if total is None or not 0 < total < length:
        return heads
    return _Heads(writer.slice(heads.tensor, 2, 0, total), (batch, count, total, size))
