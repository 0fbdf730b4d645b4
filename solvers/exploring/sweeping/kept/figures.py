"""What the tables have of one answer: the columns of a row that it fills, and exact numbers to be summed.

They are taken where the answer is found, and take a tenth of its room: so little goes between processes.
``kept.rows`` fills the same columns from a result as JSON has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from formulation.deconv import Treatment
from formulation.pricing.price import written_bits, written_ticks
from solvers.exploring.sweeping.kept.rows import ANSWER, streamed
from solvers.network.attempt import Failure
from solvers.network.data.mappings import mapping_choices
from solvers.result import BoundScope, Result, SolutionStatus, Termination, internal_error, number
from solvers.result import partition_dict as in_bytes

if TYPE_CHECKING:
    from formulation.hardware import Hardware
    from formulation.mapping import Mapping, Partition
    from formulation.pricing.price import Cost
    from solvers.network.questions import Reply
    from solvers.shared.deconvolution import DeconvolutionResult

_Values = tuple[Any, ...]
_MACS = ANSWER.index("macs")


@dataclass(frozen=True, slots=True)
class Figures:
    """What the tables have of an answer.

    Attributes:
        values: of the columns ``ANSWER``; none if a deconvolution's parts run apart, or the answer is lost.
        spent: latency [ticks], traffic [bits] and energy [quanta of the machine] of one occurrence; None if
            there is no mapping.
        error: in place of an answer about shared tiles.
    """

    values: _Values = ()
    spent: tuple[int, int, int] | None = None
    error: str | None = None

    def __reduce__(self) -> tuple[type[Figures], _Values]:
        """In few bytes."""
        return Figures, (self.values, self.spent, self.error)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of one occurrence; None if it has none, or its parts run apart."""
        return self.values[_MACS] if self.values else None

    @property
    def columns(self) -> dict[str, Any]:
        """The values by column."""
        return dict(zip(ANSWER, self.values, strict=True))


def figures(reply: Reply) -> Figures:
    """Those of an answer."""
    if isinstance(reply, Failure):
        return Figures(error=reply.text)
    return _of_layer(reply) if isinstance(reply, Result) else _of_shared(reply)


def written(words: int, machine: Hardware) -> Figures:
    """Those of outputs that no tap reaches: nothing is chosen, so nothing is left to prove."""
    bits = written_bits(machine, words)
    ticks = written_ticks(machine, bits)
    spent = ticks, bits, machine.quantum.of(0, 0, bits, ticks)
    latency, traffic, energy = _told(spent, machine.tick.per_cycle, machine.quantum.per_unit)
    nothing, chosen = (0, 0, words, 0, None), (None,) * 11
    optimal = Termination.OPTIMAL.value, SolutionStatus.OPTIMAL.value
    proof = latency, traffic, BoundScope.MAP_SPACE.value, 0.0, 0.0, *optimal
    values = (1, None, latency, 0, traffic, energy, *nothing, *chosen, *proof, None, None)
    return Figures(values, spent)


def _of_layer(result: Result) -> Figures:
    problem, cost, mapping = result.problem, result.cost, result.mapping
    shape = problem.layer.groups, problem.layer.macs
    if cost is None or mapping is None:
        error = internal_error(result)
        need = None if error else number(Fraction(problem.smallest_need().total, 8))
        return Figures((*shape, *(None,) * 20, *_proof(result), need, error))
    machine, quantum = problem.hardware, problem.hardware.quantum
    spent = cost.latency_ticks, cost.traffic_bits, cost.spent(machine, quantum)
    latency, traffic, energy = _told(spent, machine.tick.per_cycle, quantum.per_unit)
    numbers = *shape, latency, cost.compute_cycles, traffic, energy, *_words(cost)
    parts = problem.partition or cost.footprint
    return Figures((*numbers, *_chosen(mapping, parts), *_parts(parts), *_proof(result), None, None), spent)


def _of_shared(best: DeconvolutionResult) -> Figures:
    """Those of shared ifmap tiles, if that is how the deconvolution is run."""
    mapping = best.shared.mapping if best.shared is not None else None
    cost = best.shared.cost if best.shared is not None else None
    energy, total, deconv = best.energy_pj, best.total, best.deconv
    if best.choice is not Treatment.COMBINE or mapping is None or cost is None or None in (energy, total):
        return Figures()
    assert energy is not None
    assert total is not None
    per_cycle, per_pj = best.hardware.tick.per_cycle, best.hardware.quantum.per_unit
    spent = total.latency, total.traffic, int(energy * per_pj)
    latency, traffic, told = _told(spent, per_cycle, per_pj)
    numbers = deconv.groups, deconv.macs, latency, cost.compute_cycles, traffic, told, *_words(cost)
    tile = None, mapping.in_channels, mapping.batch, list(mapping.spatial), mapping.round_count
    chosen = *tile, mapping.stationary.value, mapping.sliding_axis, None
    parts = _parts(best.partition or cost.footprint)
    return Figures((*numbers, *chosen, *parts, *_proof(best), None, None), spent)


def _told(spent: tuple[int, int, int], per_cycle: int, per_pj: int) -> tuple[int | float, ...]:
    """Cycles, bytes and pJ as JSON has them."""
    ticks, bits, quanta = spent
    return _over(ticks, per_cycle), _over(bits, 8), _over(quanta, per_pj)


def _over(value: int, units: int) -> int | float:
    """A whole number as an integer."""
    return value / units if value % units else value // units


def _words(cost: Cost) -> _Values:
    words = cost.traffic
    return words.ifmap, words.weights, words.ofmap_write, words.ofmap_read, None


def _chosen(mapping: Mapping, parts: Partition) -> _Values:
    tile, cut = mapping.tile, None
    if mapping.inner is not None:
        cut = streamed(mapping_choices(mapping, parts))
    sizes = tile.out_channels, tile.in_channels, tile.batch, list(tile.spatial)
    return *sizes, None, mapping.stationary.value, mapping.sliding_axis, cut


def _parts(parts: Partition) -> _Values:
    sizes = in_bytes(parts)
    return sizes["ifmap"], sizes["ofmap"], sizes["weights"]


def _proof(answer: Result | DeconvolutionResult) -> _Values:
    bound, gaps = answer.lower_bound, (answer.gap, answer.latency_gap)
    ended = answer.termination.value, answer.solution_status.value
    bounds = number(bound.latency_cycles), number(bound.traffic_bytes)
    return *bounds, answer.bound_scope.value, *gaps, *ended
