"""Bits of the words of each tensor, as a quantised graph has them.

A network *carries* widths if an operand of some layer is stored with fewer than 16 bits: integers of
``QLinear`` and ``Integer`` operators, what ``DequantizeLinear`` reads, packed weights, 8-bit floats. Then
every layer has its own:

* ifmap and weights: as they are stored. What an operator quantises itself (``DynamicQuantizeMatMul``) counts
  as quantised, 8 bits, as it does where ``DynamicQuantizeLinear`` stands before it.
* ofmap: as what becomes of it is stored. Operators without MACs are done while the layer drains, quantisation
  included, unless they wait for another operand that is made later; ``DynamicQuantizeLinear`` needs the whole
  tensor first, so what it reads is stored. The widest where several read it.
* partial sums: 32 bits if both operands are integers, else the width of the operator's result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from onnx import NodeProto

from dnns.layer import WordBits
from dnns.onnx_reader.inference.values import Value, attributes, operator_of
from dnns.onnx_reader.layers.families import FAMILIES

_CARRIED_BELOW = 16
_ACCUMULATOR = 32
_JOINS = {"Concat", "QLinearConcat"}


class Followed(NamedTuple):
    """One node of the graph that was followed: its name in the network, "" if it has no MACs."""

    proto: NodeProto
    layer: str


def word_bits(
    followed: Sequence[Followed], values: Mapping[str, Value], outputs: Iterable[str]
) -> dict[str, WordBits]:
    """Bits of the words of each layer; none if the network carries no widths.

    Args:
        followed: the nodes, in order.
        values: every tensor.
        outputs: of the network.
    """
    operands = {f.layer: _operands(f.proto, values) for f in followed if f.layer}
    if not any(min(x.bits, w.bits) < _CARRIED_BELOW for x, w in operands.values()):
        return {}
    stored = _stored(followed, values, outputs)
    widths: dict[str, WordBits] = {}
    for proto, layer in followed:
        if layer:
            (x, w), made = operands[layer], proto.output[0]
            ofmap = stored.get(made, values[made].bits)
            sums = _ACCUMULATOR if x.is_integer and w.is_integer else values[made].bits
            widths[layer] = WordBits(x.bits, w.bits, ofmap, max(ofmap, sums))
    return widths


def _operands(proto: NodeProto, values: Mapping[str, Value]) -> tuple[Value, Value]:
    family = FAMILIES[operator_of(proto)]
    x, w = values[proto.input[family.x]], values[proto.input[family.w]]
    packed = family.weight_bits(attributes(proto))
    return (Value(None, packed=8) if family.quantises else x), replace(w, packed=packed) if packed else w


def _stored(
    followed: Sequence[Followed], values: Mapping[str, Value], outputs: Iterable[str]
) -> dict[str, int]:
    """Bits that each tensor is stored with once the operators that are done on its way out are done."""
    made_by = _last_layers(followed)
    stored = {name: values[name].bits for name in outputs if name in values}
    for proto, layer in reversed(followed):
        results = [name for name in proto.output if name in values]
        through = max((stored.get(name, values[name].bits) for name in results), default=0)
        read = [name for name in proto.input if name in made_by]
        last = max((made_by[name] for name in read), default=-1)
        waits = layer or proto.op_type == "DynamicQuantizeLinear" or not results
        for name in read:
            passes = not waits and (made_by[name] == last or proto.op_type in _JOINS)
            stored[name] = max(stored.get(name, 0), through if passes else values[name].bits)
    return stored


def _last_layers(followed: Sequence[Followed]) -> dict[str, int]:
    """Position of the last layer that each tensor derives from."""
    made_by: dict[str, int] = {}
    for position, (proto, layer) in enumerate(followed):
        before = max((made_by[name] for name in proto.input if name in made_by), default=-1)
        if layer or before >= 0:
            made_by.update((name, position if layer else before) for name in proto.output if name)
    return made_by
