"""What is wrong with a scenario, told where it was given: a line of the file, or an option."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dnns.errors import InputError
from dnns.yaml_reader.file import FieldPath, Locate
from dnns.yaml_reader.validation import dotted, fault, place
from solvers.scenario.quantities import plausible, plausible_fields

M = TypeVar("M", bound=BaseModel)


class FieldError(InputError):
    """A field that overrides the file's is at fault.

    Args:
        field: its path, such as ``hardware.bufsize``.
        problem: what was got and what is allowed.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, "", problem)

    @property
    def field(self) -> str:
        """Its path."""
        return self.file


@dataclass(frozen=True, slots=True)
class Given:
    """Where the fields of a scenario were given.

    Attributes:
        file: the scenario's file, "" if there is none.
        locate: gives the line of a field in it, None if there are no lines.
        overrides: the fields that replace the file's, nested.
    """

    file: str | Path
    locate: Locate | None
    overrides: Mapping[str, Any]

    def error(self, path: FieldPath, problem: str) -> InputError:
        """An error in a field, told where that was given."""
        if path and self._overrides(path):
            return FieldError(dotted(path), problem)
        if self.locate is not None and (path or not self.overrides):
            return InputError(self.file, place(path, self.locate), problem)
        return InputError(self.file or "options", dotted(path), problem)

    def _overrides(self, path: FieldPath) -> bool:
        given: Any = self.overrides
        for key in path:
            if not isinstance(given, Mapping):
                return True
            if key not in given:
                return False
            given = given[key]
        return True


def judged(model: type[M], data: Mapping[str, Any], given: Given) -> M:
    """A model of plain data; raises InputError for the first field that is wrong by itself."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        path, value, problem = fault(error, data)
        beyond = plausible(dotted(path))
        if beyond is not None and isinstance(value, int | float):
            problem = beyond.problem(value)
        raise given.error(path, problem) from None


def check_plausible(value_of: Callable[[str], Any], given: Given) -> None:
    """Raise InputError for what is hardly meant.

    Args:
        value_of: gives the value of a field by its path.
        given: where it was given.
    """
    for beyond in plausible_fields():
        value = value_of(beyond.field)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not beyond.least <= number <= beyond.most:
                problem = f"{beyond.problem(number)}; insist: true, or --insist, takes it as it is"
                raise given.error(tuple(beyond.field.split(".")), problem)
