"""What an ONNX graph starts from: network inputs with all sizes known, and weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto

from dnns.errors import InputError, shown, unknown
from dnns.onnx_reader.inference.values import MAX_RANK, Shape, Value, operator_of, tensor_value
from dnns.onnx_reader.larger.table import COMPOUNDS
from dnns.onnx_reader.layers.families import FAMILIES
from dnns.onnx_reader.layers.products import einsum, matmul
from dnns.windows import bounded

_WEIGHT_POSITIONS = {
    ("", "BatchNormalization"): (1, 2, 3, 4),
    ("", "InstanceNormalization"): (1, 2),
    ("", "PRelu"): (1,),
}

Inputs = tuple[tuple[str, Shape], ...]


def graph_inputs(
    path: str | Path, graph: GraphProto, override: Shape | None, dims: Mapping[str, int]
) -> tuple[Inputs, dict[str, Value]]:
    """The network's inputs, and every tensor that is known before the first node.

    Weights that are not in the file are known by their declared shape: a graph input that only stands where
    weights stand, or a tensor that is read, never made, and declared.

    Raises:
        InputError: for a size that is not known, not positive or too large.
    """
    values = _initializers(path, graph)
    absent = _absent_weights(graph)
    declared = {info.name: info for info in (*graph.value_info, *graph.input)}
    for name in absent & declared.keys() - values.keys():
        values[name] = Value(_declared(path, declared[name], dims), _elem(declared[name]), None, weight=True)
    inputs = [info for info in graph.input if info.name not in values]
    _check_names(path, inputs, dims)
    given = _override(path, inputs, override)
    _check_all_known(path, inputs, given, dims)
    shapes = [(info.name, _sizes(path, info, given, dims)) for info in inputs]
    values |= {info.name: Value(shape, _elem(info)) for info, (_, shape) in zip(inputs, shapes, strict=True)}
    return tuple(shapes), values


def _initializers(path: str | Path, graph: GraphProto) -> dict[str, Value]:
    values: dict[str, Value] = {}
    try:
        for tensor in graph.initializer:
            values[tensor.name] = tensor_value(tensor)
        for sparse in graph.sparse_initializer:
            values[sparse.values.name] = Value(tuple(sparse.dims), sparse.values.data_type, None, weight=True)
    except ValueError as error:
        raise InputError(path, "", str(error)) from None
    return values


def _absent_weights(graph: GraphProto) -> set[str]:
    """Tensors that no node makes and that are read only where weights stand."""
    made = {name for node in graph.node for name in node.output}
    fed = {info.name for info in graph.input}
    weights: set[str] = set()
    other: set[str] = set()
    for node in graph.node:
        positions = _weight_positions(node)
        for position, name in enumerate(node.input):
            (weights if position in positions else other).add(name)
    read = weights | other
    return (weights - made - other) | (read - made - fed)


def _weight_positions(node: NodeProto) -> Iterable[int]:
    family, compound = FAMILIES.get(operator_of(node)), COMPOUNDS.get(operator_of(node))
    if compound is not None:
        return compound.weights
    if family is None:
        return _WEIGHT_POSITIONS.get(operator_of(node), ())
    if family.rule in (matmul, einsum):  # both factors may be activations
        return ()
    return (family.w, family.bias)


def _elem(info: ValueInfoProto) -> int:
    return info.type.tensor_type.elem_type or TensorProto.FLOAT


def _declared(path: str | Path, info: ValueInfoProto, dims: Mapping[str, int]) -> Shape | None:
    """The declared shape of a weight that is not there, None if it is open."""
    shape = info.type.tensor_type.shape.dim
    sizes = tuple(dims.get(d.dim_param, 0) if d.dim_param else d.dim_value for d in shape)
    known = info.type.tensor_type.HasField("shape") and len(sizes) <= MAX_RANK
    if not known or min(sizes, default=1) < 1:
        return None
    return sizes


def _check_names(path: str | Path, inputs: list[ValueInfoProto], dims: Mapping[str, int]) -> None:
    known: list[str] = []
    for info in inputs:
        shape = info.type.tensor_type.shape.dim
        known += [d.dim_param or f"{info.name}.{axis}" for axis, d in enumerate(shape) if d.dim_value < 1]
    for name, size in dims.items():
        if name not in known:
            raise InputError(path, f"dim {name}", unknown(name, list(dict.fromkeys(known)), "dimension"))
        try:
            bounded("it", size)
        except ValueError as error:
            raise InputError(path, f"dim {name}", str(error)) from None


def _override(path: str | Path, inputs: list[ValueInfoProto], override: Shape | None) -> Shape | None:
    if override is None:
        return None
    forms = {tuple((d.dim_value, d.dim_param) for d in info.type.tensor_type.shape.dim) for info in inputs}
    if len(forms) > 1:
        raise InputError(path, "input", "the network's inputs have several shapes, one cannot replace them")
    try:
        return tuple(bounded("a size", size) for size in override)
    except ValueError as error:
        raise InputError(path, "input", str(error)) from None


def _sizes(path: str | Path, info: ValueInfoProto, given: Shape | None, dims: Mapping[str, int]) -> Shape:
    where = f"input {shown(info.name)}"
    if not info.type.HasField("tensor_type"):
        raise InputError(path, where, "is not a tensor, which is all that is supported")
    declared = info.type.tensor_type.shape.dim
    if len(declared) > MAX_RANK:
        raise InputError(path, where, f"has {len(declared)} dimensions, allowed: at most {MAX_RANK}")
    if given is not None and len(declared) not in (0, len(given) + 1):
        raise InputError(
            path,
            "input",
            f"got {len(given)} sizes {list(given)}, allowed: {len(declared) - 1}, without the batch",
        )
    if given is not None and not declared:
        return (1, *given)
    if not info.type.tensor_type.HasField("shape"):
        raise InputError(path, where, "its shape is not in the file, give --input")
    sizes = [_size(info, axis, given, dims) or 1 for axis in range(len(declared))]
    try:
        return tuple(bounded("a size", size) for size in sizes)
    except ValueError as error:
        raise InputError(path, where, str(error)) from None


def _size(info: ValueInfoProto, axis: int, given: Shape | None, dims: Mapping[str, int]) -> int:
    """Size of a dimension of an input, 0 if it is not known; an unknown batch beside a given shape is 1."""
    dim = info.type.tensor_type.shape.dim[axis]
    if given is not None and axis > 0:
        return given[axis - 1]
    if dim.dim_value > 0:
        return int(dim.dim_value)
    return dims.get(_dim_name(info, axis), 0 if given is None else 1)


def _dim_name(info: ValueInfoProto, axis: int) -> str:
    return info.type.tensor_type.shape.dim[axis].dim_param or f"{info.name}.{axis}"


def _check_all_known(
    path: str | Path, inputs: list[ValueInfoProto], given: Shape | None, dims: Mapping[str, int]
) -> None:
    """Tell every size that is not known at once; 1 is proposed for nothing but a batch."""
    places: dict[str, list[tuple[str, int]]] = {}
    for info in inputs:
        rank = len(info.type.tensor_type.shape.dim)
        if given is not None and rank != len(given) + 1:
            continue
        for axis in range(min(rank, MAX_RANK)):
            if not _size(info, axis, given, dims):
                places.setdefault(_dim_name(info, axis), []).append((info.name, axis))
    if not places:
        return
    told = "; ".join(
        f"{name[:100]} ({', '.join(f'axis {axis} of {where[:100]}' for where, axis in found[:4])})"
        for name, found in list(places.items())[:10]
    )
    options = " ".join(
        f"--dim {name[:100]}={1 if all(axis == 0 for _, axis in found) else 'SIZE'}"
        for name, found in list(places.items())[:10]
    )
    more = f" and {len(places) - 10} more" if len(places) > 10 else ""
    raise InputError(path, "", f"sizes of these dimensions are not known: {told}{more}; give {options}")


def declared_values(path: str | Path, graph: GraphProto, dims: Mapping[str, int]) -> dict[str, Value]:
    """Every tensor between nodes, or that the network returns, whose whole shape the file declares."""
    declared = {info.name: info for info in (*graph.value_info, *graph.output)}
    shapes = {name: _declared(path, info, dims) for name, info in declared.items()}
    return {n: Value(shape, _elem(declared[n])) for n, shape in shapes.items() if shape is not None}
