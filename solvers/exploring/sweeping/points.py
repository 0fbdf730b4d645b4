"""The rows of a point that is solved layer by layer, from the figures of its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from dnns.layer import Deconvolution, Operator
from formulation.bounds import compulsory_bits, least_spent, least_traffic_bits, roofline_ticks
from formulation.deconv import Treatment
from formulation.hardware import Hardware
from solvers.exploring.sweeping.kept.figures import Figures, written
from solvers.exploring.sweeping.kept.rows import point_rows
from solvers.network.data.report import RunSums, totals_dict
from solvers.network.parts import summed
from solvers.network.plan import Part, Planned

_PLAIN = Hardware()


@dataclass(slots=True)
class _Sums:
    """Over the layers that have a mapping, with their counts: integers, in units of one machine.

    Attributes:
        macs: multiply-accumulates.
        spent: ticks, bits and quanta of energy.
        least: the bounds for any schedule: compulsory and least traffic [bits].
        rooflines: counts and rooflines [ticks].
        energies: counts and least energies [quanta].
    """

    macs: int = 0
    spent: list[int] = field(default_factory=lambda: [0, 0, 0])
    least: list[int] = field(default_factory=lambda: [0, 0])
    rooflines: list[tuple[int, Fraction]] = field(default_factory=list)
    energies: list[tuple[int, Fraction]] = field(default_factory=list)

    def add(self, planned: Planned, found: Sequence[tuple[int, Figures]]) -> None:
        """A layer: its answers with their counts."""
        operator, machine = planned.operator, planned.machine
        for count, figures in found:
            assert figures.spent is not None
            self.macs += count * (figures.macs or 0)
            for place, value in enumerate(figures.spent):
                self.spent[place] += count * value
        compulsory, roofline, energy = _bounds(operator, _without_buffer(machine))
        self.least[0] += operator.count * compulsory
        self.least[1] += operator.count * least_traffic_bits(operator, machine)
        self.rooflines.append((operator.count, roofline))
        self.energies.append((operator.count, energy))

    def told(self, machine: Hardware) -> RunSums:
        """In the units of results."""
        ticks, bits, quanta = self.spent
        tick, quantum = machine.tick, machine.quantum
        traffic, compulsory, least = (Fraction(each, 8) for each in (bits, *self.least))
        return RunSums(
            self.macs,
            tick.cycles(ticks),
            traffic,
            quantum.told(quanta),
            compulsory,
            least,
            summed(self.rooflines) / tick.per_cycle,
            quantum.told(summed(self.energies)),
        )


def solved_point(
    network: str, plan: Sequence[Planned], treatment: Treatment, found: Sequence[Figures]
) -> dict[str, Any]:
    """The rows of a point, as of ``kept.rows``.

    Args:
        network: its name.
        plan: its layers, at least one.
        treatment: of deconvolutions.
        found: figures of the answers, in the order of ``Questions.in_turn``.
    """
    answers, rows, sums, complete = iter(found), list[dict[str, Any]](), _Sums(), True
    apart = [list(_apart(planned, answers)) for planned in plan]
    for planned, parts in zip(plan, apart, strict=True):
        operator, way, error = planned.operator, None, None
        told = [(part.name, count, figures) for part, count, figures in parts]
        if isinstance(operator, Deconvolution):
            way = treatment.value
            if treatment is Treatment.COMBINE:
                together = next(answers)
                error = together.error
                if together.values:
                    told = [(operator.name, operator.count, together)]
                elif error is None:
                    way = Treatment.SPLIT.value
        layer = {"layer": operator.name, "op": operator.op, "deconvolution": way, "stack": None}
        for name, count, figures in told:
            rows.append({**layer, "part": name, "count": count, **figures.columns})
            if error is not None:
                rows[-1]["error"] = error
        if error is None and all(figures.spent is not None for _, _, figures in told):
            sums.add(planned, [(count, figures) for _, count, figures in told])
        else:
            complete = False
    machine = plan[0].machine
    return point_rows(network, complete, rows, totals_dict(sums.told(machine), machine, 0.0))


def _apart(planned: Planned, answers: Iterator[Figures]) -> Iterator[tuple[Part, int, Figures]]:
    """The parts of a layer, how often each runs, and its figures."""
    for part in planned.parts:
        figures = written(part.ofmap_words, planned.machine) if part.layer is None else next(answers)
        yield part, part.count * planned.operator.count, figures


@lru_cache(maxsize=4096)
def _bounds(operator: Operator, machine: Hardware) -> tuple[int, Fraction, Fraction]:
    """Compulsory traffic [bits], roofline [ticks], least energy [quanta]."""
    least = least_spent(operator, machine, machine.quantum)
    return compulsory_bits(operator, machine), roofline_ticks(operator, machine), least


@lru_cache(maxsize=256)
def _without_buffer(machine: Hardware) -> Hardware:
    """With the default buffer, on which these bounds do not depend."""
    return replace(machine, buffer_bytes=_PLAIN.buffer_bytes, bank_bytes=None)
