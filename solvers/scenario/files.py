"""Scenarios from files and options. The only reader of scenario files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping as Fields
from pathlib import Path
from typing import Any

from dnns.errors import InputError, unknown
from dnns.files import read_bytes
from dnns.yaml_reader.file import load_yaml
from solvers.scenario.bundled import located, names
from solvers.scenario.choice import NETWORK_FIELDS
from solvers.scenario.model import Scenario, build_scenario


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
    if not Path(path).suffix and not os.path.lexists(path):
        problem = f"no such file; {unknown(str(path), names(), 'bundled scenario')}"
        raise InputError(path, "", problem)
    if Path(path).suffix.lower() == ".json":
        return _of_result(path, overrides or {})
    data, locate = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError(path, "", "must be a mapping of fields, such as network: FILE")
    if "source" in data:
        raise InputError(path, f"line {locate(('source',))}", "unknown field 'source'")
    return build_scenario(data, overrides or {}, path, locate)


_MAX_RESULT_BYTES = 512 << 20


def result_data(path: str | Path) -> tuple[dict[str, Any], str]:
    """The JSON object of a result, unchecked but for its scenario, and the file's text; raises InputError."""
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
    if not isinstance(data, dict) or not isinstance(data.get("scenario"), dict):
        raise InputError(path, "scenario", "missing: the file is no result of solvers.run")
    return data, text


def _of_result(path: str | Path, overrides: Fields[str, Any]) -> Scenario:
    """The scenario that a result was made from."""
    data, text = result_data(path)
    given = data["scenario"]
    file = given.get("network")
    if isinstance(file, str) and not Path(file).exists() and "network" not in overrides:
        beside = Path(path).parent / Path(file).name
        given = {**given, "network": str(beside.absolute())} if beside.exists() else given
    line = text.count("\n", 0, text.find('"scenario"')) + 1
    scenario = build_scenario(given, overrides, path, lambda field: line)
    recorded = {} if NETWORK_FIELDS & overrides.keys() else {"hash": str(data.get("network_hash", ""))}
    return scenario.recorded_as(recorded | {"version": str(data.get("version", ""))})
