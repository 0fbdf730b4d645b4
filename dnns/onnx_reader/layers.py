"""ONNX operators with MACs: each becomes one layer.

Every rule takes the operator's tensors and attributes and returns the output's shape and the layer; the
operators of one family differ only in where their tensors stand among the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from onnx import TensorProto

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution, Layer, Operator
from dnns.onnx_reader.values import Attributes, Shape, Value
from dnns.windows import bounded, check_phases, same_padding, transposed_axis, window_axis

MICROSOFT = "com.microsoft"

Made = tuple[Shape, Operator]


@dataclass(frozen=True)
class Operands:
    """The tensors that matter to a rule.

    Attributes:
        x: the activation, the first factor of a product.
        w: the weights, the second factor of a product.
        name: of the layer to make.
    """

    x: Value
    w: Value
    name: str


@dataclass(frozen=True)
class Family:
    """Operators with MACs that share a rule.

    Attributes:
        rule: from operands and attributes to output shape and layer.
        x: position of the first operand among the inputs.
        w: position of the second operand.
        bias: position of the bias; beyond the inputs where there is none.
        elem: element type of the output, 0 for that of ``x``.
    """

    rule: Callable[[Operands, Attributes], Made]
    x: int = 0
    w: int = 1
    bias: int = 99
    elem: int = 0


def _convolution(operands: Operands, attributes: Attributes) -> Made:
    x, w = operands.x.known, operands.w.known
    groups, spatial = _check_convolution(x, w, attributes)
    if x[1] != w[1] * groups:
        raise ValueError(
            f"input has {x[1]} channels, weights {list(w)} of {groups} groups take {w[1] * groups}"
        )
    out_channels = _divided(w[0], groups)
    strides, dilations = (
        _per_axis(attributes, "strides", spatial),
        _per_axis(attributes, "dilations", spatial),
    )
    axes: list[Axis] = []
    for i in range(spatial):
        pads = _pads(attributes, i, spatial)
        if pads is None:
            pads = _ordered(same_padding(x[i + 2], w[i + 2], strides[i], dilations[i]), attributes)
        axes.append(window_axis(x[i + 2], w[i + 2], strides[i], dilations[i], pads))
    layer = Layer(operands.name, out_channels, w[1], tuple(axes), x[0], groups)
    return (x[0], w[0], *(axis.out for axis in axes)), layer


def _transposed(operands: Operands, attributes: Attributes) -> Made:
    x, w = operands.x.known, operands.w.known
    groups, spatial = _check_convolution(x, w, attributes)
    if x[1] != w[0]:
        raise ValueError(f"input has {x[1]} channels, weights {list(w)} take {w[0]}")
    check_phases(_per_axis(attributes, "strides", spatial))
    axes = tuple(_transposed_axis(x[i + 2], w[i + 2], i, spatial, attributes) for i in range(spatial))
    layer = Deconvolution(operands.name, w[1], _divided(x[1], groups), axes, x[0], groups)
    return (x[0], w[1] * groups, *(axis.out for axis in axes)), layer


def _transposed_axis(size: int, kernel: int, i: int, spatial: int, attributes: Attributes) -> TransposedAxis:
    """One axis; padding follows from a wanted output, if one is given or ``auto_pad`` implies it."""
    stride = _per_axis(attributes, "strides", spatial)[i]
    dilation = _per_axis(attributes, "dilations", spatial)[i]
    extra = _per_axis(attributes, "output_padding", spatial, 0)[i]
    wanted = attributes.integers("output_shape")
    pads = _pads(attributes, i, spatial)
    if wanted:
        out = wanted[len(wanted) - spatial + i] if len(wanted) >= spatial else 0
        bounded("output_shape", out)
    elif pads is None:
        out = size * stride
    else:
        return transposed_axis(size, kernel, stride, dilation, pads, extra)
    total = (size - 1) * stride + dilation * (kernel - 1) + 1 + extra - out
    lower = attributes.text("auto_pad", "NOTSET") != "SAME_UPPER"
    pads = _halves(max(0, total), lower)
    return transposed_axis(size, kernel, stride, dilation, pads, extra + max(0, -total))


def _halves(total: int, larger_first: bool) -> tuple[int, int]:
    small = total // 2
    return (total - small, small) if larger_first else (small, total - small)


def _check_convolution(x: Shape, w: Shape, attributes: Attributes) -> tuple[int, int]:
    """Groups and number of spatial axes of a convolution whose operands fit each other."""
    spatial = len(x) - 2
    if not 1 <= spatial <= 3:
        raise ValueError(f"its input {list(x)} has {spatial} spatial axes, allowed: 1 to 3")
    if len(w) != len(x):
        raise ValueError(f"weights {list(w)} do not fit an input {list(x)}")
    if attributes.integers("kernel_shape", w[2:]) != w[2:]:
        raise ValueError(
            f"kernel_shape {list(attributes.integers('kernel_shape'))} is not that of weights {list(w)}"
        )
    if attributes.integer("channels_last", 0):
        raise ValueError("channels_last is not supported")
    return bounded("group", attributes.integer("group", 1)), spatial


def _per_axis(attributes: Attributes, name: str, spatial: int, default: int = 1) -> tuple[int, ...]:
    values = attributes.integers(name) or (default,) * spatial
    if len(values) != spatial:
        raise ValueError(f"{name} has {len(values)} entries, allowed: {spatial}")
    return values


def _pads(attributes: Attributes, axis: int, spatial: int) -> tuple[int, int] | None:
    """Explicit padding of an axis; None where ``auto_pad`` asks for "same"."""
    automatic = attributes.text("auto_pad", "NOTSET")
    if automatic == "VALID":
        return 0, 0
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        return None
    if automatic != "NOTSET":
        raise ValueError(f"auto_pad is {automatic[:40]!r}, allowed: NOTSET, SAME_UPPER, SAME_LOWER, VALID")
    pads = attributes.integers("pads") or (0,) * (2 * spatial)
    if len(pads) != 2 * spatial:
        raise ValueError(f"pads has {len(pads)} entries, allowed: {2 * spatial}")
    return pads[axis], pads[axis + spatial]


def _ordered(pads: tuple[int, int], attributes: Attributes) -> tuple[int, int]:
    lower = attributes.text("auto_pad", "NOTSET") == "SAME_LOWER"
    return (pads[1], pads[0]) if lower else pads


def _divided(channels: int, groups: int) -> int:
    if channels % groups:
        raise ValueError(f"{channels} channels cannot be divided into {groups} groups")
    return channels // groups


def _gemm(operands: Operands, attributes: Attributes) -> Made:
    a, b = operands.x.known, operands.w.known
    if (len(a), len(b)) != (2, 2):
        raise ValueError(f"operands {list(a)} and {list(b)} must have 2 dimensions")
    a = a[::-1] if attributes.integer("transA", 0) else a
    b = b[::-1] if attributes.integer("transB", 0) else b
    return _product(operands, a, b)


def matmul_rule(operands: Operands, attributes: Attributes) -> Made:
    """A product with numpy's broadcasting, either factor of which may be an activation."""
    if attributes.integer("transBatchA", 0) or attributes.integer("transBatchB", 0):
        raise ValueError("transposed batch dimensions are not supported")
    a, b = operands.x.known, operands.w.known
    if attributes.integer("transA", 0) and len(a) > 1:
        a = (*a[:-2], a[-1], a[-2])
    if attributes.integer("transB", 0) and len(b) > 1:
        b = (*b[:-2], b[-1], b[-2])
    return _product(operands, a, b)


def _packed(operands: Operands, attributes: Attributes) -> Made:
    """Weights of a few bits each, packed; their shape stands in the attributes."""
    inner, columns = bounded("K", attributes.integer("K", 0)), bounded("N", attributes.integer("N", 0))
    return _product(operands, operands.x.known, (inner, columns))


def _product(operands: Operands, a: Shape, b: Shape) -> Made:
    """``a @ b`` with numpy's rules for vectors and for broadcasting leading dimensions.

    Leading dimensions that both have are independent products (groups). One that only ``a`` has makes more
    rows for the same ``b``, and the other way round, so that nothing is counted as fetched twice.
    """
    if not a or not b:
        raise ValueError(f"operands {list(a)} and {list(b)} must have 1 dimension or more")
    rows, inner = (a[-2] if len(a) > 1 else 1), a[-1]
    columns, inner_b = (b[-1] if len(b) > 1 else 1), b[-2] if len(b) > 1 else b[0]
    if inner != inner_b:
        raise ValueError(f"inner sizes of {list(a)} and {list(b)} differ")
    length = max(len(a), len(b)) - 2
    lead_a = (1,) * (length - len(a[:-2])) + a[:-2]
    lead_b = (1,) * (length - len(b[:-2])) + b[:-2]
    if any(p != q and 1 not in (p, q) for p, q in zip(lead_a, lead_b, strict=True)):
        raise ValueError(f"leading dimensions of {list(a)} and {list(b)} cannot be broadcast")
    pairs = list(zip(lead_a, lead_b, strict=True))
    groups = prod(p for p, q in pairs if p == q)
    rows_all = rows * prod(p for p, q in pairs if p != q and q == 1)
    columns_all = columns * prod(q for p, q in pairs if p != q and p == 1)
    if operands.x.weight and not operands.w.weight:  # weights on the left: the activation streams
        rows_all, columns_all = columns_all, rows_all
    fixed = operands.x.weight or operands.w.weight
    axes = (Axis(rows_all, in_size=rows_all),)
    layer = Layer(operands.name, columns_all, inner, axes, 1, groups, "fc" if fixed else "matmul")
    ends = (*((rows,) if len(a) > 1 else ()), *((columns,) if len(b) > 1 else ()))
    return (*(max(p, q) for p, q in pairs), *ends), layer


FAMILIES: dict[tuple[str, str], Family] = {
    ("", "Conv"): Family(_convolution, bias=2),
    (MICROSOFT, "FusedConv"): Family(_convolution, bias=2),
    ("", "ConvInteger"): Family(_convolution, elem=TensorProto.INT32),
    ("", "QLinearConv"): Family(_convolution, w=3, bias=8),
    (MICROSOFT, "QLinearConv"): Family(_convolution, w=3, bias=8),
    ("", "ConvTranspose"): Family(_transposed, bias=2),
    ("", "Gemm"): Family(_gemm, bias=2),
    (MICROSOFT, "FusedGemm"): Family(_gemm, bias=2),
    (MICROSOFT, "QGemm"): Family(_gemm, w=3, bias=6),
    ("", "MatMul"): Family(matmul_rule),
    (MICROSOFT, "FusedMatMul"): Family(matmul_rule),
    ("", "MatMulInteger"): Family(matmul_rule, elem=TensorProto.INT32),
    ("", "QLinearMatMul"): Family(matmul_rule, w=3),
    (MICROSOFT, "MatMulIntegerToFloat"): Family(matmul_rule, bias=6, elem=TensorProto.FLOAT),
    (MICROSOFT, "DynamicQuantizeMatMul"): Family(matmul_rule, bias=4),
    (MICROSOFT, "MatMulNBits"): Family(_packed, bias=5),
}
"""The supported operators with MACs, by domain and name."""
