"""Operators that are written out as several smaller ones before they are followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnx import NodeProto

from dnns.onnx_reader.inference.values import Unsupported, Value, operator_of
from dnns.onnx_reader.larger.attention import attention, grouped_query, multi_head, projected_attention
from dnns.onnx_reader.larger.recurrent import recurrent
from dnns.onnx_reader.layers.families import MICROSOFT

Rule = Callable[[str, NodeProto, Sequence[Value | None]], list[NodeProto]]


@dataclass(frozen=True)
class Compound:
    """How an operator is written out.

    Attributes:
        rule: from its name in the network, the node and what it reads, to the nodes that stand for it.
        since: operator set that has it first.
        weights: positions of its inputs where weights stand.
    """

    rule: Rule
    since: int = 1
    weights: tuple[int, ...] = ()


COMPOUNDS: dict[tuple[str, str], Compound] = {
    ("", "Attention"): Compound(attention, since=23),
    ("", "LSTM"): Compound(recurrent, weights=(1, 2, 3, 7)),
    ("", "GRU"): Compound(recurrent, weights=(1, 2, 3)),
    ("", "RNN"): Compound(recurrent, weights=(1, 2, 3)),
    (MICROSOFT, "DynamicQuantizeLSTM"): Compound(recurrent, weights=(1, 2, 3, 7)),
    (MICROSOFT, "Attention"): Compound(projected_attention, weights=(1, 2)),
    (MICROSOFT, "QAttention"): Compound(projected_attention, weights=(1, 2)),
    (MICROSOFT, "MultiHeadAttention"): Compound(multi_head),
    (MICROSOFT, "GroupQueryAttention"): Compound(grouped_query),
}
"""By domain and name."""

_SMALL_OPERATORS_SINCE = 10
"""Operator set from which on ``Slice`` takes its bounds as inputs."""


def written_out(
    name: str, proto: NodeProto, inputs: Sequence[Value | None], versions: dict[str, int]
) -> list[NodeProto] | None:
    """The nodes that stand for a node, None if it stands for itself.

    Args:
        name: of the node in its network.
        proto: the node.
        inputs: what it reads.
        versions: operator set version of each domain.

    Raises:
        ValueError: if it is not valid for its inputs.
    """
    compound = COMPOUNDS.get(operator_of(proto))
    if compound is None:
        return None
    version = versions.get("", 1)
    if operator_of(proto)[0] == "" and version < compound.since:
        raise ValueError(f"operator set {version} does not have the operator")
    if version < _SMALL_OPERATORS_SINCE:
        raise Unsupported(
            f"is followed from operator set {_SMALL_OPERATORS_SINCE} on, the file has {version}"
        )
    return compound.rule(name, proto, inputs)
