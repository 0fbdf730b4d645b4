"""A larger operator written out as smaller ones: the nodes, with names of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import NodeProto, helper

from dnns.onnx_reader.inference.values import Shape
from dnns.onnx_reader.layers.families import WRITTEN_OUT


class Writer:
    """Collects the nodes that stand for one operator.

    Args:
        name: of the operator in its network; nodes and tensors are named after it.

    Attributes:
        nodes: what was written so far, in order.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[NodeProto] = []

    def op(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        name: str = "",
        out: str = "",
        domain: str = "",
        **settings: Any,
    ) -> str:
        """Write a node with one output.

        Args:
            operator: name in its domain.
            inputs: tensors.
            name: what it is to the operator, such as ``scores``; its number by default.
            out: of the tensor that it makes; a new one by default.
            domain: of the operator.
            settings: attributes.

        Returns:
            The tensor that it makes.
        """
        own = f"{self.name}.{name or len(self.nodes)}"
        made = out or f"{own}::{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, list(inputs), [made], name=own, domain=domain, **settings)
        )
        return made

    def numbers(self, values: Sequence[int]) -> str:
        """A constant list of integers."""
        return self.op("Constant", (), value_ints=list(values))

    def quantised(self, tensor: str) -> str:
        """A tensor quantised to 8 bits while the network runs."""
        made = self.op("DynamicQuantizeLinear", (tensor,))
        self.nodes[-1].output.extend([f"{made}:scale", f"{made}:zero"])
        return made

    def reshape(self, tensor: str, shape: Sequence[int], out: str = "") -> str:
        """The same words in another shape."""
        return self.op("Reshape", (tensor, self.numbers(shape)), out=out)

    def transpose(self, tensor: str, order: Sequence[int], out: str = "") -> str:
        """The dimensions in another order."""
        return self.op("Transpose", (tensor,), out=out, perm=list(order))

    def slice(self, tensor: str, axis: int, start: int, stop: int) -> str:
        """A piece along one dimension."""
        bounds = (self.numbers([number]) for number in (start, stop, axis))
        return self.op("Slice", (tensor, *bounds))

    def concat(self, tensors: Sequence[str], axis: int, out: str = "") -> str:
        """Tensors one behind another."""
        return self.op("Concat", tensors, out=out, axis=axis)

    def same(self, tensor: str, out: str) -> None:
        """A tensor under another name, if that is wanted."""
        if out:
            self.op("Identity", (tensor,), out=out)

    def product(
        self,
        inputs: Sequence[str],
        sizes: tuple[int, int, int],
        shape: Shape,
        *,
        name: str,
        count: int = 1,
        quantised: bool = False,
    ) -> str:
        """A matrix product that is run ``count`` times, one run after another.

        Args:
            inputs: activation, weights, and biases or other parameters.
            sizes: rows, inner size and columns of one run.
            shape: of what all runs together make.
            name: what it is to the operator.
            count: runs.
            quantised: whether it takes integers and makes floats.
        """
        rows, inner, columns = sizes
        given: dict[str, Any] = {
            "rows": rows,
            "inner": inner,
            "columns": columns,
            "count": count,
            "shape": list(shape),
        }
        operator = "QuantisedProduct" if quantised else "Product"
        return self.op(operator, inputs, name=name, domain=WRITTEN_OUT, **given)
