"""Scenarios from files and options. The only reader of scenario files."""

from __future__ import annotations

import json
from collections.abc import Mapping as Fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dnns.errors import InputError
from dnns.files import read_bytes
from dnns.yaml_reader.file import Locate, load_yaml
from dnns.yaml_reader.validation import input_error
from solvers.scenario.bundled import located
from solvers.scenario.model import Scenario
from solvers.scenario.quantities import implausible


def read_scenario(path: str | Path, overrides: Fields[str, Any] | None = None) -> Scenario:
    """Read a scenario file.

    Args:
        path: a YAML file, the JSON of a result (``.json``), whose scenario it then is, or the name of a
            bundled scenario.
        overrides: fields that replace the file's, as nested plain data; an inner field of ``hardware`` or
            ``objective`` replaces only itself.

    Raises:
        InputError: naming file, line, field, what was got and what is allowed.
    """
    path = located(path)
    if Path(path).suffix.lower() == ".json":
        return _of_result(path, overrides or {})
    data, locate = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError(path, "", "must be a mapping of fields, such as network: FILE")
    if "source" in data:
        raise InputError(path, f"line {locate(('source',))}", "unknown field 'source'")
    return build_scenario(data, overrides or {}, path, locate)


_MAX_RESULT_BYTES = 512 << 20
_NETWORK_FIELDS = {"network", "input", "input_3d", "dims", "skip_unsupported"}


def _of_result(path: str | Path, overrides: Fields[str, Any]) -> Scenario:
    """The scenario that a result was made from."""
    try:
        text = read_bytes(path, _MAX_RESULT_BYTES).decode("utf-8-sig")
        data = json.loads(text)
    except UnicodeDecodeError:
        raise InputError(path, "", "is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise InputError(path, f"line {error.lineno}", f"is not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(path, "", "is not the JSON of a result: nested too deep") from None
    given = data.get("scenario") if isinstance(data, dict) else None
    if not isinstance(given, dict):
        raise InputError(path, "scenario", "missing: the file is no result of solvers.run")
    file = given.get("network")
    if isinstance(file, str) and not Path(file).exists() and "network" not in overrides:
        beside = Path(path).parent / Path(file).name
        given = {**given, "network": str(beside.absolute())} if beside.exists() else given
    line = text.count("\n", 0, text.find('"scenario"')) + 1
    scenario = build_scenario(given, overrides, path, lambda field: line)
    recorded = {} if _NETWORK_FIELDS & overrides.keys() else {"hash": str(data.get("network_hash", ""))}
    return scenario.recorded_as(recorded | {"version": str(data.get("version", ""))})


def build_scenario(
    data: Fields[str, Any], overrides: Fields[str, Any], source: str | Path, locate: Locate | None = None
) -> Scenario:
    """A scenario from plain data and what overrides it; errors name the option where that is at fault."""
    given = {**data, "source": str(source)}
    if isinstance(given.get("objective"), str):
        given["objective"] = {"kind": given["objective"]}
    # The file is judged by itself first, so that its faults are told with its lines.
    if locate is not None:
        _validate(given, source, locate)
    for key, value in overrides.items():
        inner = given.get(key) or {}
        given[key] = {**inner, **value} if isinstance(value, dict) and isinstance(inner, dict) else value
    scenario = _validate(given, source, locate, from_options=bool(overrides))
    _check_meaning(scenario, source)
    return scenario


def _check_meaning(scenario: Scenario, source: str | Path) -> None:
    """Raise InputError for what is hardly meant, unless the scenario insists, or cannot be of any use."""

    def value(path: str) -> Any:
        part, name = path.split(".")
        return getattr(getattr(scenario, part), name)

    found = None if scenario.insist else implausible(value)
    if found is not None:
        field, number = found
        allowed = f"allowed: {field.least:g} to {field.most:g} [{field.unit}] ({field.hint})"
        problem = f"got {number:g}, {allowed}; insist: true, or --insist, takes it as it is"
        raise InputError(source, field.field, problem)
    partition = scenario.partition()
    if partition is not None and not all(partition.parts):
        names = ("ifmap", "ofmap", "weights")
        empty = next(name for name, bits in zip(names, partition.parts, strict=True) if not bits)
        problem = f"leaves the {empty} no byte of the buffer, and every layer needs room for it"
        raise InputError(source, "buffer_partition", problem)


def _validate(
    data: Fields[str, Any], source: str | Path, locate: Locate | None, from_options: bool = False
) -> Scenario:
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        problem = input_error(error, source, data, locate or (lambda path: 0))
        if locate is not None and not from_options:
            raise problem from None
        option = problem.where.rpartition(", ")[2].rpartition(".")[2]
        if option in ("", "line 0", "hardware", "objective") or option.startswith("line "):
            raise InputError(source or "options", "", problem.problem) from None
        raise InputError(f"--{option}", "", problem.problem) from None
