"""What each operator without MACs makes of its operands' words, for every operator that the readers know."""

from __future__ import annotations

from enum import StrEnum

from dnns.errors import InputError
from dnns.layer import Node

Shape = tuple[int, ...]


class Role(StrEnum):
    """Part that an operator plays in a network.

    A *view* makes no tensor, it names its operands' words. A *drain* makes one, while the layer drains that
    produces the last of its operands.
    """

    LAYER = "layer"
    VIEW = "view"
    DRAIN = "drain"
    POINTWISE = "pointwise"
    """A view of one operand of its own shape, otherwise a drain."""
    JOIN = "join"
    """A view if it puts channels together, otherwise a drain."""
    PICK = "pick"
    """A view if it picks channels, otherwise a drain."""


def _all(role: Role, names: str) -> dict[str, Role]:
    return dict.fromkeys(names.split(), role)


YAML_ROLES: dict[str, Role] = {
    **_all(Role.LAYER, "conv deconv fc matmul"),
    **_all(Role.VIEW, "flatten reshape"),
    **_all(Role.JOIN, "concat"),
    **_all(Role.POINTWISE, "add"),
    **_all(Role.DRAIN, "pool global_pool norm crop upsample widen correlation cost_volume"),
}
"""The operators of YAML networks. ``norm`` may normalise over channels, so it is no view."""

ONNX_ROLES: dict[str, Role] = {
    **_all(
        Role.LAYER,
        """
        Conv FusedConv ConvInteger QLinearConv ConvTranspose Gemm FusedGemm QGemm MatMul FusedMatMul
        MatMulInteger QLinearMatMul MatMulIntegerToFloat DynamicQuantizeMatMul MatMulNBits NhwcConv
        NhwcFusedConv FusedMatMulActivation TransposeMatMul MatMulInteger16 MatMulBnb4 Product
        QuantisedProduct
        """,
    ),
    **_all(Role.VIEW, "Dropout Flatten Identity Reshape Squeeze Unsqueeze"),
    **_all(Role.JOIN, "Concat QLinearConcat"),
    **_all(Role.PICK, "Slice Split"),
    **_all(
        Role.POINTWISE,
        """
        Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization Bernoulli BitCast BitShift
        BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear
        Div DynamicQuantizeLinear Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish
        IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow
        QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub
        Sum Swish Tan Tanh ThresholdedRelu Where Xor BiasAdd BiasDropout BiasGelu FastGelu QLinearAdd
        QLinearLeakyRelu QLinearMul QLinearSigmoid QuickGelu
        """,
    ),
    **_all(
        Role.DRAIN,
        """
        ArgMax ArgMin AveragePool BiasSoftmax BiasSplitGelu Einsum EmbedLayerNormalization
        GemmaRotaryEmbedding GroupNorm NhwcMaxPool SkipGroupNorm CenterCropPad Col2Im Compress Constant
        ConstantOfShape CumProd CumSum
        DepthToSpace Expand EyeLike Gather GatherElements GatherND GlobalAveragePool GlobalLpPool
        GlobalMaxPool GridSample GroupNormalization Hardmax InstanceNormalization LRN LayerNormalization
        LogSoftmax LpNormalization LpPool MaxPool MaxRoiPool MaxUnpool MeanVarianceNormalization
        Multinomial NonMaxSuppression NonZero OneHot Pad QLinearAveragePool QLinearGlobalAveragePool
        QLinearSoftmax RMSNormalization RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare Resize ReverseSequence RoiAlign RotaryEmbedding Scatter ScatterElements ScatterND
        Shape SimplifiedLayerNormalization Size SkipLayerNormalization SkipSimplifiedLayerNormalization
        Softmax SpaceToDepth TensorScatter Tile TopK Transpose Trilu Unique Upsample
        """,
    ),
}
"""The operators of ONNX networks."""


def role_of(network: str, node: Node, shapes: tuple[Shape, ...]) -> Role:
    """The part that a node plays: ``LAYER``, ``VIEW`` or ``DRAIN``.

    Args:
        network: its name, for errors.
        node: the node.
        shapes: of its inputs.

    Raises:
        InputError: for an operator without a rule.
    """
    if node.layer is not None:
        return Role.LAYER
    role = YAML_ROLES.get(node.op) or ONNX_ROLES.get(node.op)
    if role is None or role is Role.LAYER:
        problem = "the operator has no rule beside other layers, --network_level layers needs none"
        raise InputError(network, f"node {node.name} ({node.op})", problem)
    if role is Role.POINTWISE:
        return _view_if(len(set(node.inputs)) == 1 and shapes[0] == node.shape)
    if role is Role.JOIN:
        return _view_if(all(len(s) > 0 and s[1:] == node.shape[1:] for s in shapes))
    if role is Role.PICK:
        return _view_if(node.channels is not None)
    return _view_if(role is Role.VIEW and len(node.inputs) == 1)


def _view_if(view: bool) -> Role:
    return Role.VIEW if view else Role.DRAIN
