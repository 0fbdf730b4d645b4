"""The scenario: which network on which machine, solved how."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping as Fields
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dnns.errors import InputError
from dnns.yaml_reader.file import Locate
from formulation.deconv import Treatment
from formulation.mapping import Partition
from solvers.backends.registry import DEFAULT_MILP, MILP
from solvers.scenario.choice import NETWORK_FIELDS, NetworkChoice
from solvers.scenario.faults import FieldError, Given, check_plausible, judged
from solvers.scenario.hardware import (
    HardwareModel,
    ObjectiveModel,
    Ratio,
    Real,
    exact,
)
from solvers.scenario.quantities import of_length

DEFAULT_LONGEST_STACK = 8


class Scenario(NetworkChoice):
    """A network, a machine, and how the one is to be run on the other; file names as of ``NetworkChoice``."""

    hardware: HardwareModel = HardwareModel()
    """The machine."""
    search_method: Literal["static", "constrained", "exhaustive", "exact", "combined"] = "exhaustive"
    """How each layer is solved."""
    static: bool = False
    """Whether ``buffer_partition`` is fixed for all layers; always so with the method Static."""
    buffer_partition: Annotated[
        Annotated[tuple[Ratio, Ratio, Ratio], Field(strict=False)] | Literal["auto"],
        of_length(3, "three ratios [ifmap, ofmap, weights], or auto"),
    ] = (3, 3, 4)
    """The buffer's parts as a ratio I O W, or auto for the best single one."""
    objective: ObjectiveModel = ObjectiveModel()
    """What is minimised."""
    network_level: Literal["layers", "resident", "fused"] = "layers"
    """Layer by layer; or the network as one problem, in which feature maps stay on the chip, or in which
    runs of layers are fused besides."""
    longest_stack: Annotated[int, Field(ge=1, le=64)] = DEFAULT_LONGEST_STACK
    """Fused: layers of a stack at most."""
    weights_resident: bool = False
    """Resident, fused: inference after inference, the trained weights of some layers stay for good."""
    deconvolution: Literal["naive", "split", "combine"] = "combine"
    """How deconvolutions are run."""
    time_limit: Real | None = 60
    """Seconds per sub-problem; null for none."""
    exact_after: bool = False
    """Combined: whether the mixed-integer program goes on from the best mapping, to a proof."""
    backend: str = DEFAULT_MILP
    """Solver of the mixed-integer programs: one of ``solvers.backends.MILP``."""
    insist: bool = False
    """Whether values beyond what is plausible (a frequency of 1000 GHz) are taken as they are."""
    sieve: Literal["none", "bounds", "prices"] = "prices"
    """Exact: what is left out of the programs because a known mapping is better."""
    presolve: Literal["none", "full"] = "full"
    """Constrained: what helps the relaxed models to their bounds; with none they prove them alone."""
    dump_models: str | None = None
    """Folder for the models' .lp and .nl files."""

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """What differs from the defaults."""
        data = self.model_dump(exclude_defaults=True, exclude={"source"})
        yield from data.items()

    @field_validator(
        "search_method", "deconvolution", "backend", "network_level", "sieve", "presolve", mode="before"
    )
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("backend")
    @classmethod
    def _known_backend(cls, value: str) -> str:
        if value not in MILP:
            raise ValueError(", ".join(MILP))
        return value

    @field_validator("buffer_partition")
    @classmethod
    def _some_part(cls, value: Any) -> Any:
        if value != "auto" and not any(value):
            raise ValueError("three ratios, one of them above 0")
        return value

    @field_validator("objective", mode="before")
    @classmethod
    def _kind_alone(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        programs = self.network_level != "layers"
        if self.dump_models is not None and not programs and self.search_method in ("static", "exhaustive"):
            problem = f"{self.search_method} builds no model, allowed with: constrained, exact, combined"
            raise ValueError(f"dump_models: {problem}")
        if self.sieve != "prices" and (self.search_method != "exact" or programs):
            raise ValueError("sieve: nothing else has that sieve, allowed with: exact, layer by layer")
        if self.presolve != "full" and (self.search_method != "constrained" or programs):
            raise ValueError(
                "presolve: nothing else has that presolve, allowed with: constrained, layer by layer"
            )
        if self.objective.tolerance_over == "network":
            if self.is_static:
                raise ValueError(
                    "tolerance_over: network, with a given partition (static), allowed: a free one"
                )
            if self.search_method not in ("exhaustive", "exact"):
                problem = f"network, with {self.search_method}, allowed with: exhaustive, exact"
                raise ValueError(f"tolerance_over: {problem}")
        auto, over = self.is_static and self.buffer_partition == "auto", self.objective.tolerance_over
        whole = self.sieve != "prices" or (self.dump_models is not None and self.solves_programs)
        for problem in self.hardware.refused(programs, auto, over, whole):
            raise ValueError(problem)
        if self.hardware.burst_bytes:
            self._judge_bursts()
        if self.exact_after and self.search_method != "combined":
            problem = f"{self.search_method} has nothing to go on from, allowed with: combined"
            raise ValueError(f"exact_after: {problem}")
        if self.backend != DEFAULT_MILP and not self.solves_programs:
            problem = (
                f"{self.search_method} solves no program, allowed with: exact, combined with exact_after"
            )
            raise ValueError(f"backend: {problem}")
        return self

    def _judge_bursts(self) -> None:
        """Raise ValueError for what does not count the bursts of transfers."""
        if self.dump_models is not None:
            raise ValueError(
                "dump_models: the integer nonlinear programs among them do not count burst_bytes"
            )
        if self.solves_programs and self.sieve == "none" and self.treatment is Treatment.COMBINE:
            raise ValueError(
                "sieve: none, whose programs of shared ifmap tiles do not count burst_bytes, "
                "allowed: bounds, prices, or deconvolution: split"
            )
        if self.objective.tolerance_over == "network":
            raise ValueError("tolerance_over: network, whose fronts do not count burst_bytes, allowed: layer")

    @property
    def solves_programs(self) -> bool:
        """Whether mixed-integer programs are solved."""
        return self.search_method == "exact" or self.exact_after or self.network_level != "layers"

    @property
    def is_static(self) -> bool:
        """Whether the partition is fixed for all layers."""
        return self.static or self.search_method == "static"

    @property
    def treatment(self) -> Treatment:
        """How deconvolutions are run; where padding is counted, ``combine`` is ``split``."""
        asked = Treatment(self.deconvolution)
        apart = asked is Treatment.COMBINE and self.hardware.padding != "clipped"
        return Treatment.SPLIT if apart else asked

    def partition(self) -> Partition | None:
        """The fixed partition given as a ratio; None if each layer chooses its own or ``auto`` does."""
        if not self.is_static or self.buffer_partition == "auto":
            return None
        return self.ratio_partition()

    def ratio_partition(self) -> Partition | None:
        """The partition of ``buffer_partition``, also where it is only a start; None for ``auto``."""
        if self.buffer_partition == "auto":
            return None
        machine = self.hardware.build()
        ratio = [exact(part) for part in self.buffer_partition]
        return Partition.from_ratio(ratio, machine.buffer_bits, machine.bank_bits)

    def replace(self, **fields: Any) -> Scenario:
        """The scenario with other fields, judged as a file's are.

        Args:
            fields: of the scenario, of its machine (``bufsize="1MiB"``) and of its objective
                (``tolerance=0.05``), by their names there; ``method`` is ``search_method``. A whole
                ``hardware`` or ``objective`` replaces only the inner fields that it has.

        Raises:
            InputError: naming the field, what was got and what is allowed.
        """
        given: dict[str, Any] = {}
        for name, value in fields.items():
            name = {"method": "search_method"}.get(name, name)
            part = _PARTS.get(name)
            where, what = (name, value) if part is None else (part, {name: value})
            known = given.get(where)
            given[where] = {**known, **what} if isinstance(known, dict) and isinstance(what, dict) else what
        try:
            scenario = build_scenario(self.model_dump(mode="json", exclude={"source"}), given, self.source)
        except FieldError as error:
            where = error.field.removeprefix("hardware.").removeprefix("objective.")
            raise InputError("replace", where, error.problem) from None
        return scenario if NETWORK_FIELDS & fields.keys() else scenario.recorded_as(self._recorded)

    def to_dict(self) -> dict[str, Any]:
        """All fields, defaults included, as a file in any folder may have them: with whole paths."""
        data = self.model_dump(mode="json", exclude={"source"})
        data["network"] = os.path.abspath(self.network_file)
        if self.dump_models is not None:
            data["dump_models"] = os.path.abspath(self.folder / self.dump_models)
        return data


_PARTS = dict.fromkeys(HardwareModel.model_fields, "hardware") | dict.fromkeys(
    ObjectiveModel.model_fields, "objective"
)
"""The part of a scenario that has a field, by the field's name."""


def build_scenario(
    data: Fields[str, Any], overrides: Fields[str, Any], source: str | Path, locate: Locate | None = None
) -> Scenario:
    """A scenario from plain data and what overrides it.

    Raises:
        InputError: for what is wrong, or hardly meant; ``FieldError`` if an override is at fault.
    """
    fields = {**data, "source": str(source)}
    if isinstance(fields.get("objective"), str):
        fields["objective"] = {"kind": fields["objective"]}
    # The file is judged by itself first, so that its faults are told with its lines.
    if locate is not None:
        judged(Scenario, fields, Given(source, locate, {}))
    for key, value in overrides.items():
        inner = fields.get(key) or {}
        if key == "hardware" and isinstance(value, dict) and "preset" in value:
            inner = {}  # another machine, not the fields of the one before on top of it
        fields[key] = {**inner, **value} if isinstance(value, dict) and isinstance(inner, dict) else value
    given = Given(source, locate, overrides)
    scenario = judged(Scenario, fields, given)
    if not scenario.insist:
        check_plausible(lambda field: attrgetter(field)(scenario), given)
    partition = scenario.partition()
    if partition is not None and not all(partition.parts):
        empty = next(name for name in partition.__slots__ if not getattr(partition, name))
        problem = f"leaves the {empty} no byte of the buffer, and every layer needs room for it"
        raise given.error(("buffer_partition",), problem)
    return scenario
