"""A sweep file: a scenario, and the axes along which it is varied; its points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from dnns.errors import InputError, shown, unknown
from dnns.reader import bundled
from dnns.yaml_reader.file import FieldPath, Locate
from dnns.yaml_reader.validation import StrictModel, load_model, place
from solvers.exploring.sweeping.axes.fields import is_path, nested, overlap, paths
from solvers.exploring.sweeping.axes.ranges import RangeModel, values
from solvers.scenario import Scenario, build_scenario, read_scenario
from solvers.scenario.faults import FieldError

MOST_POINTS = 100_000
Values = list[Any] | RangeModel


class SweepModel(StrictModel):
    """A sweep file."""

    scenario: str
    """Scenario that is varied: a file, relative to this one, or the name of a bundled one."""
    axes: dict[str, Values] = Field(default_factory=dict)
    """Values by field; all combinations are points."""
    pairs: list[dict[str, Values]] = Field(default_factory=list)
    """Fields that move together: equally many values each."""


@dataclass(frozen=True, slots=True)
class Track:
    """Fields of a scenario that move together.

    Attributes:
        where: path of each field in the sweep file.
        fields: their dotted paths in the scenario.
        steps: their values at each step.
    """

    where: tuple[FieldPath, ...]
    fields: tuple[str, ...]
    steps: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One point of a sweep.

    Attributes:
        number: from 0.
        given: the values of the axes, by field, as the file has them.
        scenario: what is run.
    """

    number: int
    given: dict[str, Any]
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep that has been read.

    Attributes:
        file: the sweep file.
        scenario: that is varied.
        tracks: along which; the last moves fastest.
        locate: gives the line of a field of the file.
    """

    file: str
    scenario: Scenario
    tracks: tuple[Track, ...]
    locate: Locate

    def __len__(self) -> int:
        return prod(len(track.steps) for track in self.tracks)

    @property
    def fields(self) -> tuple[str, ...]:
        """The axes' fields, in the order of the file."""
        return tuple(field for track in self.tracks for field in track.fields)

    def points(self, known: Sequence[SweepPoint] = ()) -> Iterator[SweepPoint]:
        """All points, in order; the first ones may be known already.

        Raises:
            InputError: naming the field of the sweep file, what was got and what is allowed.
        """
        base = self.scenario.model_dump(mode="json", exclude={"source"})
        for number, places in enumerate(product(*(range(len(track.steps)) for track in self.tracks))):
            if number < len(known):
                yield known[number]
                continue
            pairs = zip(self.tracks, places, strict=True)
            given = {f: v for t, place in pairs for f, v in zip(t.fields, t.steps[place], strict=True)}
            try:
                fields = nested(base, {f: self._meant(f, value) for f, value in given.items()})
                yield SweepPoint(number, given, build_scenario(base, fields, self.scenario.source))
            except FieldError as error:
                self.fail_at(error.field, error.problem, number, places)
            except InputError as error:
                raise self.at_point(error.problem, given) from None

    def at_point(self, problem: str, given: dict[str, Any]) -> InputError:
        """An error of values that do not go together."""
        told = ", ".join(f"{field} {said(value)}" for field, value in given.items())
        return InputError(self.file, "", f"at {told}: {problem}")

    def fail_at(self, field: str, problem: str, number: int, places: tuple[int, ...]) -> NoReturn:
        """Raise an error in a field of a point, told where the file has its value."""
        found = [
            (*where, place)
            for track, place in zip(self.tracks, places, strict=True)
            for where, name in zip(track.where, track.fields, strict=True)
            if overlap(name, field.partition("[")[0])
        ]
        if len(found) == 1:
            raise InputError(self.file, place(found[0], self.locate), problem)
        steps = zip(self.tracks, places, strict=True)
        given = {f: v for t, k in steps for f, v in zip(t.fields, t.steps[k], strict=True)}
        raise self.at_point(f"{field}: {problem}", given)

    def _meant(self, field: str, value: Any) -> Any:
        """A value for the scenario: a network's file is relative to the sweep file."""
        if field != "network" or not isinstance(value, str):
            return value
        file = Path(self.file).parent / value
        return value if not file.exists() and bundled(value) else str(file.absolute())


def said(value: Any) -> str:
    """A value in one word where it is a list or several fields."""
    if isinstance(value, list):
        return "x".join(map(said, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={said(inner)}" for name, inner in value.items())
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep file.

    Raises:
        InputError: naming file, line, field, what was got and what is allowed.
    """
    model, locate = load_model(path, SweepModel)
    tracks = tuple(_tracks(path, model, locate))
    if not tracks:
        raise InputError(path, "", "has no axes, at least one is needed")
    _check_apart(path, tracks, locate)
    scenario = read_scenario(_scenario_file(path, model.scenario))
    if scenario.dump_models is not None:
        raise InputError(scenario.source, "dump_models", "a sweep writes no models, leave it out")
    sweep = Sweep(str(path), scenario, tracks, locate)
    if len(sweep) > MOST_POINTS:
        problem = f"has {len(sweep):,} points, at most {MOST_POINTS:,} are allowed"
        raise InputError(path, "", problem)
    return sweep


def _check_apart(path: str | Path, tracks: tuple[Track, ...], locate: Locate) -> None:
    """Raise InputError if two axes set the same thing."""
    seen: list[str] = []
    for track in tracks:
        for field, where in zip(track.fields, track.where, strict=True):
            for other in seen:
                if overlap(field, other):
                    raise InputError(path, place(where, locate), f"sets what the axis {other} sets as well")
            seen.append(field)


def _scenario_file(path: str | Path, name: str) -> str | Path:
    file = Path(path).parent / name
    bare = Path(name).name == name and not Path(name).suffix
    return name if bare and not file.exists() else file


def _tracks(path: str | Path, model: SweepModel, locate: Locate) -> Iterator[Track]:
    for field, given in model.axes.items():
        where: FieldPath = ("axes", field)
        steps = [(value,) for value in _values(path, field, given, where, locate)]
        yield Track((where,), (field,), tuple(steps))
    for k, pair in enumerate(model.pairs):
        places = tuple(("pairs", k, field) for field in pair)
        columns = [
            _values(path, field, given, where, locate)
            for (field, given), where in zip(pair.items(), places, strict=True)
        ]
        counts = [len(column) for column in columns]
        if len(columns) < 2 or len(set(counts)) > 1:
            got = ", ".join(f"{field} {count}" for field, count in zip(pair, counts, strict=True))
            problem = f"got {got or 'no fields'}, allowed: two fields or more, with equally many values"
            raise InputError(path, place(("pairs", k), locate), problem)
        yield Track(places, tuple(pair), tuple(zip(*columns, strict=True)))


def _values(path: str | Path, field: str, given: Values, where: FieldPath, locate: Locate) -> list[Any]:
    if not is_path(field):
        raise InputError(path, place(where, locate), unknown(field, paths()))
    try:
        found = given if isinstance(given, list) else values(field, given)
    except ValueError as error:
        raise InputError(path, place(where, locate), str(error)) from None
    if not found:
        raise InputError(path, place(where, locate), f"got {shown(found)}, allowed: at least one value")
    return found
