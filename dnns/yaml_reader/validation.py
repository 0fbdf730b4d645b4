"""From YAML data to typed models, and from pydantic's errors to one-line ``InputError``s."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from dnns.errors import InputError, shown, unknown
from dnns.yaml_reader.file import FieldPath, Locate, load_yaml

Model = TypeVar("Model", bound=BaseModel)

_UNKNOWN = "unknown_field"
_NOISE = re.compile(r" or (an )?instance of \w+| after validation, not \w+")
_NUMBERS = ("a number", "at least ", "at most ", "greater than ", "less than ")
"""How texts begin that allow whole numbers too."""
_WORDING = {
    "a valid integer": "a whole number",
    "a valid dictionary": "a mapping of fields",
    "a valid boolean": "true or false",
    "a valid tuple": "a list",
    "a valid ": "a ",
    "Tuple should have": "a list of",
    "List should have": "a list of",
    "String should have": "text of",
    "String should match": "text that matches",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}


class StrictModel(BaseModel):
    """A frozen model that takes no unknown field and converts no types.

    The unknown field of an error is named with the nearest known one, or with all known ones but those that
    are not for users (``repr=False``). A field that
    takes a YAML list as a tuple is ``Annotated[tuple[int, int], Field(strict=False)]``.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_fields_only(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = [info.alias or name for name, info in cls.model_fields.items()]
        told = [info.alias or name for name, info in cls.model_fields.items() if info.repr]
        for key in data:
            if key not in known:
                raise PydanticCustomError(_UNKNOWN, "{problem}", {"problem": unknown(key, told), "key": key})
        return data


def dotted(path: FieldPath) -> str:
    """A field's path as users write it: ``layers[3].kernel``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def place(path: FieldPath, locate: Locate) -> str:
    """Line and path of a field, for ``InputError.where``."""
    return f"line {locate(path)}" + (f", {dotted(path)}" if path else "")


def load_model(path: str | Path, model: type[Model]) -> tuple[Model, Locate]:
    """Read a YAML file into a model.

    Returns:
        The model, and the function that gives the line of a field.

    Raises:
        InputError: naming file, line, field, what was got and what is allowed.
    """
    data, locate = load_yaml(path)
    try:
        return model.model_validate(data), locate
    except ValidationError as error:
        raise input_error(error, path, data, locate) from None


def input_error(
    error: ValidationError, file: str | Path, data: object, locate: Locate, prefix: FieldPath = ()
) -> InputError:
    """The first problem of a pydantic error as an ``InputError``.

    Args:
        error: what pydantic raised.
        file: the file that was read.
        data: what was validated.
        locate: gives the line of a field, as ``load_yaml`` returned it.
        prefix: path of ``data`` in the file.
    """
    path, _, problem = fault(error, data)
    return InputError(file, place(prefix + path, locate), problem)


def fault(error: ValidationError, data: object) -> tuple[FieldPath, object, str]:
    """Path and value of the first field that is wrong, what was got and what is allowed.

    Args:
        error: what pydantic raised.
        data: what was validated.
    """
    details = error.errors(include_url=False, include_context=True)
    first = _field(details[0], data)[0]
    inside = [path for path, _ in (_field(d, data) for d in details) if path[: len(first)] == first]
    path = max(inside, key=len)
    same = [detail for detail in details if _field(detail, data)[0] == path]
    value = _field(same[0], data)[1]
    return path, value, _problem(same, value)


def _field(detail: ErrorDetails, data: object) -> tuple[FieldPath, object]:
    """Where in the data an error lies; pydantic's own path also names the branches of unions."""
    path: list[str | int] = []
    for key in detail["loc"]:
        in_list = isinstance(data, list) and isinstance(key, int) and key < len(data)
        if in_list or (isinstance(data, dict) and key in data):
            data = cast(Any, data)[key]
            path.append(key)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        path.append(detail["loc"][-1])
    elif kind == _UNKNOWN:
        path.append(context["key"])
    elif kind.startswith("union_tag"):
        path.append(context["discriminator"].strip("'"))
    return tuple(path), data


def _problem(details: list[ErrorDetails], value: object) -> str:
    kind, message = details[0]["type"], details[0]["msg"]
    context = details[0].get("ctx", {})
    if kind in ("missing", "union_tag_not_found"):
        return "missing, it is required"
    if kind == _UNKNOWN:
        return message
    if kind == "union_tag_invalid":
        return f"got {shown(context['tag'])}, allowed: {context['expected_tags']}"
    if kind == "value_error" and isinstance(value, dict):  # fields that do not fit together
        return _allowed(message)
    messages = (detail["msg"] for detail in details)
    allowed = dict.fromkeys(_allowed(message) for message in messages)
    if any(text.startswith(_NUMBERS) for text in allowed):
        allowed.pop("a whole number", None)
    return f"got {shown(value)}, allowed: {' or '.join(allowed)}"


def _allowed(message: str) -> str:
    for start in ("Input should be ", "Value error, ", "Input should have "):
        message = message.removeprefix(start)
    for pydantics, ours in _WORDING.items():
        message = message.replace(pydantics, ours)
    return _NOISE.sub("", message)
