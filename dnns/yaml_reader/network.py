"""Networks from YAML files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dnns.errors import InputError, shown
from dnns.layer import Network, Node
from dnns.windows import bounded
from dnns.yaml_reader.blocks import Expansion, Placed
from dnns.yaml_reader.file import Locate
from dnns.yaml_reader.schema import NetworkModel
from dnns.yaml_reader.shape_rules import Context, Made, apply_rule
from dnns.yaml_reader.validation import load_model, place

Shape = tuple[int, ...]


def read_yaml_network(path: str | Path, input: Shape | None = None) -> Network:
    """Read a network from a YAML file.

    Args:
        path: the file.
        input: shape, channels first, to use in place of the file's; where the network has several inputs,
            they must have one shape, and all of them take the new one.

    Raises:
        InputError: naming line, field, what was got and what is allowed.
    """
    model, locate = load_model(path, NetworkModel)
    inputs = _inputs(path, model, input)
    nodes: dict[str, Node] = {}
    shapes = dict(inputs)
    for placed in Expansion(path, model, locate).layers(tuple(shapes)):
        made = _made(path, placed, shapes, model, locate)
        parameters = _own_parameters(path, placed, made, nodes, locate)
        shapes[placed.name] = made.shape
        nodes[placed.name] = _node(placed, made, parameters, model.batch)
    notes = tuple(_other_channels(model, input))
    return Network(model.name, inputs, tuple(nodes.values()), model.batch, notes=notes)


def _node(placed: Placed, made: Made, parameters: int, batch: int) -> Node:
    layer = made.layer
    return Node(
        placed.name,
        str(getattr(placed.spec, "op", "")),
        placed.inputs,
        made.shape,
        layer,
        parameters,
        batch,
        weights=placed.inputs[1] if layer is not None and len(placed.inputs) > 1 else "",
        twin=placed.twin if layer is not None else "",
        windows=() if layer is not None else tuple(made.windows for _ in placed.inputs),
    )


def _inputs(path: str | Path, model: NetworkModel, override: Shape | None) -> tuple[tuple[str, Shape], ...]:
    named = model.inputs or {"input": model.input or []}
    inputs = tuple((name, tuple(shape)) for name, shape in named.items())
    if override is None:
        return inputs
    if len({shape for _, shape in inputs}) > 1:
        raise InputError(path, "input", "the network's inputs have several shapes, one cannot replace them")
    axes = model.spatial_axes or [len(inputs[0][1]) - 1]
    if len(override) - 1 not in axes:
        raise InputError(path, "input", _other_rank(override, inputs[0][1], model.spatial_axes))
    try:
        sizes = tuple(bounded("a size", size) for size in override)
    except ValueError as error:
        raise InputError(path, "input", str(error)) from None
    return tuple((name, sizes) for name, _ in inputs)


def _other_channels(model: NetworkModel, override: Shape | None) -> Iterator[str]:
    """A sentence if a given input has other channels than the network's own: the order may be another."""
    own = next(iter((model.inputs or {"input": model.input or []}).values()))
    if override is not None and override[0] != own[0]:
        yield f"the input has {override[0]} channels (of {list(override)}), the network's own has {own[0]}"


def _other_rank(got: Shape, own: Shape, axes: list[int] | None) -> str:
    """What is wrong with a shape of a number of axes that the network is not meant for."""
    said = f"got {len(got)} sizes {list(got)}"
    if axes:
        allowed = " or ".join(str(count + 1) for count in axes)
        return f"{said}, allowed: {allowed}, channels first, as the network says (spatial_axes: {axes})"
    both = sorted({len(own) - 1, min(max(len(got) - 1, 1), 3)})
    hint = f"; a network for both says spatial_axes: {both}" if len(both) > 1 else ""
    return f"{said}, allowed: {len(own)}, channels first, like the network's own {list(own)}{hint}"


def _made(
    path: str | Path, placed: Placed, shapes: dict[str, Shape], model: NetworkModel, locate: Locate
) -> Made:
    where = place(placed.path, locate)
    for name in (*placed.inputs, *filter(None, [placed.like])):
        if name not in shapes:
            raise InputError(path, where, f"unknown layer {shown(name)}; a layer reads those before it")
    like = shapes[placed.like] if placed.like else None
    read = tuple(shapes[name] for name in placed.inputs)
    context = Context(placed.name, read, like, model.batch, model.defaults)
    try:
        made = apply_rule(placed.spec, context)
        for size in made.shape:
            bounded("a size of its output", size)
    except ValueError as error:
        raise InputError(path, where, f"{placed.name}: {error}") from None
    return made


def _own_parameters(
    path: str | Path, placed: Placed, made: Made, nodes: dict[str, Node], locate: Locate
) -> int:
    """Parameters that the layer adds to the network: none if it runs with another's weights."""
    if not placed.twin:
        return made.parameters
    twin = nodes[placed.twin]
    weights = twin.layer.weight_words if twin.layer else 0
    if weights != (made.layer.weight_words if made.layer else 0):
        problem = f"{placed.name} cannot share the weights of {twin.name}, it has another number of them"
        raise InputError(path, place(placed.path, locate), problem)
    return 0
