"""Repeated blocks of a YAML network written out: layers with full names and resolved inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dnns.errors import InputError, unknown
from dnns.windows import MAX_NODES
from dnns.yaml_reader.file import FieldPath, Locate
from dnns.yaml_reader.schema import BlockUse, LayerModel, LayerSpec, NetworkModel
from dnns.yaml_reader.validation import input_error, place

_MAX_NESTING = 16
_LAYER: TypeAdapter[LayerModel] = TypeAdapter(LayerSpec)


@dataclass(frozen=True)
class Placed:
    """One layer of the network, blocks written out.

    Attributes:
        name: full name, ``use.repetition.layer`` inside a block.
        spec: its validated fields.
        inputs: full names of what it reads.
        like: full name of the layer whose size it takes, "" for none.
        path: where the file describes it.
        twin: full name of the layer whose weights it runs with, "" for its own.
    """

    name: str
    spec: LayerModel
    inputs: tuple[str, ...]
    like: str
    path: FieldPath
    twin: str = ""


@dataclass(frozen=True)
class _Scope:
    """Where a list of layers stands: the network, or one repetition of a block."""

    prefix: str
    path: FieldPath
    parameters: Mapping[str, Any]
    names: dict[str, str]
    previous: str
    stack: tuple[str, ...] = ()
    twin: str | None = None
    uses: dict[str, BlockUse] = field(default_factory=dict)

    def full(self, name: str) -> str:
        return self.prefix + name

    def of_twin(self, name: str) -> str:
        return "" if self.twin is None else self.twin + name


class Expansion:
    """Writes a network's layers out.

    Args:
        path: the file, for errors.
        model: the file's content.
        locate: gives the line of a field.
    """

    def __init__(self, path: str | Path, model: NetworkModel, locate: Locate) -> None:
        self.path, self.model, self.locate = path, model, locate
        self.produced = 0

    def layers(self, inputs: tuple[str, ...]) -> Iterator[Placed]:
        """Every layer in the file's order.

        A name inside a use of a block (``use.layer``) is passed on as it is; whoever knows all layers
        checks it.

        Args:
            inputs: names of the network's inputs.

        Raises:
            InputError: for a layer that is not valid, or a name that is taken, unknown or used before it is
                made.
        """
        names = {name: name for name in inputs}
        previous = inputs[0] if len(inputs) == 1 else ""
        yield from self._list(self.model.layers, _Scope("", ("layers",), {}, names, previous))

    def fail(self, path: FieldPath, problem: str, scope: _Scope | None = None) -> InputError:
        """An error at a field; inside a block it says which use."""
        inside = f" (in {scope.prefix[:-1]})" if scope and scope.prefix else ""
        return InputError(self.path, place(path, self.locate), problem + inside)

    def _list(self, items: list[dict[str, Any]], scope: _Scope) -> Iterator[Placed]:
        for index, item in enumerate(items):
            path = (*scope.path, index)
            data = self._substitute(item, path, scope)
            name = data.get("name")
            if isinstance(name, str) and name in scope.names:
                raise self.fail((*path, "name"), f"name {name!r} is taken", scope)
            if "block" in data:
                last = ""
                for placed in self._use(data, path, scope):
                    yield placed
                    last = placed.name
            else:
                placed = self._layer(data, path, scope)
                yield placed
                last = placed.name
            scope.names[str(name)] = last
            scope = replace(scope, previous=last)

    def _layer(self, data: dict[str, Any], path: FieldPath, scope: _Scope) -> Placed:
        spec = self._validated(_LAYER, data, path)
        self.produced += 1
        if self.produced > MAX_NODES:
            raise self.fail(path, f"more than {MAX_NODES} layers, blocks written out", scope)
        inputs = self._inputs(spec.inputs, path, scope)
        like = getattr(spec, "like", None)
        full_like = self._resolve(like, (*path, "like"), scope) if like else ""
        return Placed(scope.full(spec.name), spec, inputs, full_like, path, scope.of_twin(spec.name))

    def _use(self, data: dict[str, Any], path: FieldPath, scope: _Scope) -> Iterator[Placed]:
        use = self._validated(TypeAdapter(BlockUse), data, path)
        block = self.model.blocks.get(use.block)
        if block is None:
            problem = unknown(use.block, list(self.model.blocks), "block")
            raise self.fail((*path, "block"), problem, scope)
        if use.block in scope.stack or len(scope.stack) >= _MAX_NESTING:
            raise self.fail((*path, "block"), f"block {use.block} is nested too deep or in itself", scope)
        inputs = self._inputs(use.inputs, path, scope)
        if len(inputs) != len(block.inputs):
            raise self.fail(
                path,
                f"got {len(inputs)} inputs, allowed: {len(block.inputs)} ({', '.join(block.inputs)})",
                scope,
            )
        parameters = self._parameters(use, block.parameters, path, scope)
        twin = self._twin(use, path, scope)
        for step in range(1, (use.repeat or 1) + 1):
            suffix = f"{use.name}.{step}." if use.repeat else f"{use.name}."
            inner = _Scope(
                scope.full(suffix),
                ("blocks", use.block, "layers"),
                parameters,
                dict(zip(block.inputs, inputs, strict=True)),
                inputs[0],
                (*scope.stack, use.block),
                None if twin is None else twin + suffix.removeprefix(use.name),
            )
            last = ""
            for placed in self._list(block.layers, inner):
                yield placed
                last = placed.name
            inputs = (last, *inputs[1:])

    def _twin(self, use: BlockUse, path: FieldPath, scope: _Scope) -> str | None:
        """Full name of the use that this one shares its weights with."""
        scope.uses[use.name] = use
        if use.shares is None:
            return None if scope.twin is None else scope.twin + use.name
        first = scope.uses.get(use.shares)
        known = [name for name in scope.uses if name != use.name]
        if first is None or first is use:
            raise self.fail((*path, "shares"), unknown(use.shares, known, "block use"), scope)
        if (first.block, first.repeat, first.parameters) != (use.block, use.repeat, use.parameters):
            problem = f"{use.shares} is not the same block with the same repeat and parameters"
            raise self.fail((*path, "shares"), problem, scope)
        return scope.full(use.shares)

    def _parameters(
        self, use: BlockUse, declared: dict[str, Any], path: FieldPath, scope: _Scope
    ) -> dict[str, Any]:
        for name in use.parameters:
            if name not in declared:
                problem = unknown(name, list(declared), "parameter")
                raise self.fail((*path, "with", name), problem, scope)
        values = {**declared, **use.parameters}
        missing = [name for name, value in values.items() if value is None]
        if missing:
            raise self.fail(path, f"parameter {missing[0]} of block {use.block} is missing", scope)
        return values

    def _inputs(self, names: list[str] | None, path: FieldPath, scope: _Scope) -> tuple[str, ...]:
        if names is not None:
            return tuple(self._resolve(n, (*path, "inputs", i), scope) for i, n in enumerate(names))
        if not scope.previous:
            problem = f"inputs are missing, the first layer must choose from: {', '.join(scope.names)}"
            raise self.fail(path, problem, scope)
        return (scope.previous,)

    def _resolve(self, name: str, path: FieldPath, scope: _Scope) -> str:
        if name in scope.names:
            return scope.names[name]
        use, _, rest = name.partition(".")
        if rest and use in scope.names:
            return scope.full(name)
        raise self.fail(
            path, f"{unknown(name, list(scope.names), 'layer')}; a layer reads those before it", scope
        )

    def _substitute(self, value: Any, path: FieldPath, scope: _Scope) -> Any:
        if isinstance(value, dict):
            return {key: self._substitute(part, (*path, key), scope) for key, part in value.items()}
        if isinstance(value, list):
            return [self._substitute(part, (*path, i), scope) for i, part in enumerate(value)]
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in scope.parameters:
                problem = unknown(value[1:], list(scope.parameters), "parameter")
                raise self.fail(path, problem, scope)
            return scope.parameters[value[1:]]
        return value

    def _validated(self, adapter: TypeAdapter[Any], data: dict[str, Any], path: FieldPath) -> Any:
        try:
            return adapter.validate_python(data)
        except ValidationError as error:
            raise input_error(error, self.path, data, self.locate, path) from None
