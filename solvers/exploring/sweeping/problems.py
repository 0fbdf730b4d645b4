"""The distinct problems of a whole sweep, each to be solved once, and what each point makes of the answers.

A point that is solved layer by layer asks what ``solvers.network.questions`` asks, whichever other points ask
the same. One that is a problem as a whole (the network as one problem, ``static: auto``, a tolerance over the
network) is solved as a whole.
"""

from __future__ import annotations

import gc
import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dnns import __version__
from dnns.errors import InputError
from dnns.identity import network_hash
from dnns.layer import Network
from formulation.problem import Problem
from solvers.exploring.sweeping.axes.file import Sweep, SweepPoint
from solvers.exploring.sweeping.kept.rows import rows_of
from solvers.exploring.sweeping.labels import labels
from solvers.network.attempt import Failure
from solvers.network.levels import check_network_level, run_scenario
from solvers.network.plan import Planned, network_machine, plan_of
from solvers.network.questions import Question, Questions, method_of, task_for
from solvers.network.schedule import check_counts
from solvers.network.tasks import Task
from solvers.network.work import Method
from solvers.scenario import Scenario

_FIRST = 1e15
"""Effort of a whole network: more than that of any layer."""
_HELD = 1024
"""Points, the first ones, that are not read a second time."""


@dataclass(frozen=True, slots=True)
class WholePoint:
    """A point that is one problem.

    Attributes:
        scenario: what is run.
        text: what tells it from others.
    """

    scenario: Scenario
    text: str


@dataclass(slots=True)
class Networks:
    """Networks that have been read, each once, with their hashes."""

    known: dict[str, tuple[Network, str]] = field(default_factory=dict)

    def of(self, scenario: Scenario) -> tuple[Network, str]:
        """The network of a scenario; raises InputError for whatever is wrong with it."""
        shape = (scenario.input, scenario.input_3d, scenario.dims, scenario.skip_unsupported)
        key = repr((str(scenario.network_file), *shape))
        if key not in self.known:
            network = scenario.read_network()
            self.known[key] = network, network_hash(network)
        return self.known[key]


@dataclass(slots=True)
class Problems:
    """The distinct problems of a sweep, in the order in which points pose them.

    Attributes:
        sweep: the sweep.
        networks: that its points run.
        tasks: how each problem is solved.
        digests: what tells each from all others, in whatever run.
        asked: what each is.
        methods: with which each is solved.
        posed: how often problems are posed, by layers of points.
        kinds: types of the points' values, by axis.
        identity: what tells the sweep from all others.
    """

    sweep: Sweep
    networks: Networks = field(default_factory=Networks)
    tasks: list[Task] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    asked: list[Question | WholePoint] = field(default_factory=list)
    methods: list[Method] = field(default_factory=list)
    posed: int = 0
    kinds: dict[str, set[type]] = field(default_factory=dict)
    identity: str = ""
    _places: dict[object, int] = field(default_factory=dict)
    _turns: array[int] = field(default_factory=lambda: array("L"))
    _ends: array[int] = field(default_factory=lambda: array("L"))
    _held: list[SweepPoint] = field(default_factory=list)
    _setting: tuple[object, ...] | None = None
    _hash: Any = None

    def pose(self, notify: Callable[[int, int], None] | None = None) -> None:
        """Collect the problems of all points.

        Args:
            notify: called after each point, with how many were read, and of how many.

        Raises:
            InputError: for whatever is wrong at any point.
        """
        identity = hashlib.sha256(repr(self.sweep.fields).encode())
        self.kinds = {field: set() for field in self.sweep.fields}
        with _all_is_used():
            for point in self.sweep.points():
                for axis, value in labels(point).items():
                    self.kinds[axis].add(type(value))
                identity.update(self._pose_point(point).encode())
                if len(self._held) < _HELD:
                    self._held.append(point)
                if notify is not None:
                    notify(point.number + 1, len(self.sweep))
        self.identity = identity.hexdigest()

    def points(self) -> Iterator[SweepPoint]:
        """All points once more."""
        return self.sweep.points(self._held)

    def _pose_point(self, point: SweepPoint) -> str:
        """Collect the problems of a point; what tells it from other points."""
        try:
            network, network_id = self.networks.of(point.scenario)
            text = _told(point, network.name, network_id)
            plan = _checked_plan(network, point.scenario)
        except InputError as error:
            raise self.sweep.at_point(f"{error}", point.given) from None
        if is_whole(point.scenario):
            name, whole = f"point {point.number}", WholePoint(point.scenario, text)
            self._turns.append(self._add(text, whole, Method("", {}), name))
        else:
            self._pose_layers(questions_of(point.scenario, network, plan))
        self._ends.append(len(self._turns))
        return text

    def _pose_layers(self, questions: Questions) -> None:
        """Collect the problems of a point that is solved layer by layer."""
        method, options = questions.method, _options(questions.method)
        places: dict[Question, int] = {}
        for question, name in questions.in_turn():
            place = places.get(question)
            if place is None:
                place = places[question] = self._add((options, question), question, method, name, places)
            self._turns.append(place)

    def _add(
        self,
        key: object,
        question: Question | WholePoint,
        method: Method,
        name: str,
        places: dict[Question, int] | None = None,
    ) -> int:
        """The place of a problem, entered if it is new; ``places`` has those that it needs."""
        self.posed += 1
        place = self._places.setdefault(key, len(self.tasks))
        if place < len(self.tasks):
            return place
        if isinstance(question, WholePoint):
            task = Task(name, solve_point, (question.scenario,), Failure, (), _FIRST)
        else:
            task = task_for(method, question, name, places or {})
        self.tasks.append(task)
        self.digests.append(self._digest(question, method))
        self.asked.append(question)
        self.methods.append(method)
        return place

    def _digest(self, question: Question | WholePoint, method: Method) -> str:
        """What tells a problem from all others, in whatever run: all that it consists of."""
        if isinstance(question, WholePoint):
            return hashlib.sha256(question.text.encode()).hexdigest()
        operator = question.layer if isinstance(question, Problem) else question.deconv
        setting = question.hardware, question.objective, question.partition, method
        if self._setting is None or any(a is not b for a, b in zip(self._setting, setting, strict=True)):
            told = (*_options(method), *map(repr, setting[:-1]))
            self._setting, self._hash = setting, hashlib.sha256(repr(told).encode())
        digest = self._hash.copy()
        digest.update(f"{type(question).__name__} {_repr(operator)}".encode())
        return str(digest.hexdigest())

    def of_point(self, number: int) -> Sequence[int]:
        """The places of a point's problems: the one that it is, or of ``Questions.in_turn``."""
        return self._turns[self._ends[number - 1] if number else 0 : self._ends[number]]

    def loads(self) -> Iterator[tuple[Method, bool]]:
        """The distinct methods, each with whether it is used on shared tiles."""
        found = {}
        for question, method in zip(self.asked, self.methods, strict=True):
            if not isinstance(question, WholePoint):
                found[_options(method), type(question)] = method
        return ((method, kind.__name__ == "Weighing") for (_, kind), method in found.items())


def is_whole(scenario: Scenario) -> bool:
    """Whether a point is one problem as a whole."""
    auto = scenario.is_static and scenario.buffer_partition == "auto"
    over_network = scenario.objective.tolerance_over == "network"
    return scenario.network_level != "layers" or auto or over_network


def _checked_plan(network: Network, scenario: Scenario) -> tuple[Planned, ...]:
    """The plan of a network; raises InputError for what has no meaning, or is too large."""
    check_network_level(scenario)
    plan = plan_of(network, scenario)
    if scenario.network_level == "layers":
        check_counts(scenario, plan)
    else:
        network_machine(network, scenario)
    return plan


def questions_of(scenario: Scenario, network: Network, plan: tuple[Planned, ...]) -> Questions:
    """What a scenario that is solved layer by layer asks of its network."""
    method, objective = method_of(scenario), scenario.objective.build()
    return Questions(scenario, network, plan, method, objective, scenario.partition())


def solve_point(scenario: Scenario) -> dict[str, Any]:
    """A point that is one problem, solved: its rows."""
    result = run_scenario(scenario).to_dict()
    return rows_of(result["network"], result["complete"], result["layers"], result["totals"])


def _told(point: SweepPoint, name: str, network_id: str) -> str:
    """A point in a line, wherever its files are: every field of its scenario, what its network computes."""
    fields = point.scenario.model_dump(mode="json", exclude={"source", "network"})
    return json.dumps([__version__, name, network_id, fields], sort_keys=True)


def _options(method: Method) -> tuple[Any, ...]:
    return (method.name, *sorted(method.options.items()))


@lru_cache(maxsize=1024)
def _repr(part: object) -> str:
    return repr(part)


@contextmanager
def _all_is_used() -> Iterator[None]:
    """Do not look for garbage meanwhile: nearly all that is made here stays."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()
