"""ONNX operators with MACs: each becomes one layer.

Every rule takes the operator's tensors and attributes and returns the output's shape and the layer; the
operators of one family differ only in where their tensors stand among the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import TensorProto

from dnns.onnx_reader.inference.values import Attributes, Made, Operands
from dnns.onnx_reader.layers.convolutions import channels_last, convolution, fused_channels_last, transposed
from dnns.onnx_reader.layers.products import einsum, fixed, gemm, matmul, packed

MICROSOFT = "com.microsoft"
WRITTEN_OUT = "written out"
"""Domain of the products that larger operators are written out to."""


@dataclass(frozen=True)
class Family:
    """Operators with MACs that share a rule.

    Attributes:
        rule: from operands and attributes to output shape and layer.
        x: position of the first operand among the inputs.
        w: position of the second operand.
        bias: position of the first of the biases; beyond the inputs where there is none.
        elem: element type of the output, 0 for that of ``x``.
        zero_point: position of the output's zero point, whose type the output has; -1 where there is none.
        weight_bits: bits of a weight where they are packed, from the attributes.
        quantises: whether it quantises ``x`` itself, to 8 bits.
    """

    rule: Callable[[Operands, Attributes], Made]
    x: int = 0
    w: int = 1
    bias: int = 99
    elem: int = 0
    zero_point: int = -1
    weight_bits: Callable[[Attributes], int] = lambda attributes: 0
    quantises: bool = False


def _packed_bits(attributes: Attributes) -> int:
    return attributes.integer("bits", 4)


_FLOAT, _INT32 = TensorProto.FLOAT, TensorProto.INT32

FAMILIES: dict[tuple[str, str], Family] = {
    ("", "Conv"): Family(convolution, bias=2),
    (MICROSOFT, "FusedConv"): Family(convolution, bias=2),
    (MICROSOFT, "NhwcConv"): Family(channels_last, bias=2),
    (MICROSOFT, "NhwcFusedConv"): Family(fused_channels_last, bias=2),
    ("", "ConvInteger"): Family(convolution, elem=_INT32),
    ("", "QLinearConv"): Family(convolution, w=3, bias=8, zero_point=7),
    (MICROSOFT, "QLinearConv"): Family(convolution, w=3, bias=8, zero_point=7),
    ("", "ConvTranspose"): Family(transposed, bias=2),
    ("", "Gemm"): Family(gemm, bias=2),
    (MICROSOFT, "FusedGemm"): Family(gemm, bias=2),
    (MICROSOFT, "QGemm"): Family(gemm, w=3, bias=6, zero_point=8, elem=_FLOAT),
    ("", "MatMul"): Family(matmul),
    (MICROSOFT, "FusedMatMul"): Family(matmul),
    (MICROSOFT, "FusedMatMulActivation"): Family(matmul),
    (MICROSOFT, "TransposeMatMul"): Family(matmul),
    ("", "MatMulInteger"): Family(matmul, elem=_INT32),
    (MICROSOFT, "MatMulInteger16"): Family(matmul, elem=_INT32),
    ("", "QLinearMatMul"): Family(matmul, w=3, zero_point=7),
    (MICROSOFT, "QLinearMatMul"): Family(matmul, w=3, zero_point=7),
    (MICROSOFT, "MatMulIntegerToFloat"): Family(matmul, bias=6, elem=_FLOAT),
    (MICROSOFT, "DynamicQuantizeMatMul"): Family(matmul, bias=4, quantises=True),
    (MICROSOFT, "MatMulNBits"): Family(packed, bias=5, weight_bits=_packed_bits),
    (MICROSOFT, "MatMulBnb4"): Family(packed, weight_bits=lambda attributes: 4),
    ("", "Einsum"): Family(einsum),
    (WRITTEN_OUT, "Product"): Family(fixed, bias=2),
    (WRITTEN_OUT, "QuantisedProduct"): Family(fixed, bias=2, elem=_FLOAT),
}
"""The supported operators with MACs, by domain and name."""
