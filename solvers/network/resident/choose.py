"""The choice of what stays and of how every layer is run, by mixed-integer programs in a hierarchy.

The steps are the objective's (``Objective.steps``), over totals: what a step minimises is held at its optimum
while its ties are broken, or within the tolerance of it where the next step is capped. ``weighted`` minimises
the weighted sum of total latency / roofline, total traffic / compulsory traffic and total energy / least
energy of the network.

Every solution is priced again in integers. If the solver's rounding let one through that does not keep a
capacity or a cap, it is refused and the program solved again.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path
from time import monotonic

from formulation.hardware import Hardware
from formulation.network.frontiers.frontier import Point
from formulation.network.graph import Tensor
from formulation.network.movement import kept_bits
from formulation.network.program.blocks import Block, TotalMeasure
from formulation.network.program.choice import Chosen, Key, NetworkAim
from formulation.network.program.model import NetworkMilp, build_network_milp
from formulation.pricing.objective import Measure, Objective
from formulation.pricing.price import Price
from solvers.backends.deadline import TimeUp
from solvers.backends.files import write
from solvers.backends.linear import solve_milp
from solvers.backends.milp import MilpAnswer, Size
from solvers.backends.registry import DEFAULT_MILP
from solvers.network.resident.growth import Growth
from solvers.network.resident.outcome import LATENCY, TRAFFIC, Choice, Stage
from solvers.result import Termination

_REFUSALS = 100
_ROUNDING = 1e-6  # of the solver's bound, where a known solution's objective is 1000 at most
_MANY, _FEW = 4000, 6  # points in all beyond which a few of each state are tried first
_WITHIN = 0.9  # of a step: a gap within which no better solution is
_LEAST_SECONDS = 0.1  # for a stage once the time is up


class Chooser:
    """Solves the programs of one network.

    Args: hardware: the machine. tensors: of the graph, by index. blocks: every layer has one that ends with
        it and has points. backend: solver of the programs. time_limit: seconds for all of them; None for
        none. least: latency [ticks], traffic [bits] and what is spent [quanta] of any schedule: all that is
        proven where the frontier of some block is not complete. dump: folder and name for the programs; None
        for none. growth: what the blocks grow by, if weights may stay for good.
    """

    def __init__(
        self,
        hardware: Hardware,
        tensors: Sequence[Tensor],
        blocks: Sequence[Block],
        *,
        backend: str = DEFAULT_MILP,
        time_limit: float | None = None,
        least: tuple[int, int, int] = (0, 0, 0),
        dump: tuple[Path, str] | None = None,
        growth: Growth | None = None,
    ) -> None:
        self.hardware, self.tensors = hardware, tensors
        self.blocks = tuple(blocks) if growth is None else growth.filled(blocks)
        self.backend, self.dump, self.growth = backend, dump, growth
        self.weights = () if growth is None else growth.weights
        self.deadline = None if time_limit is None else monotonic() + time_limit
        self.stages: list[Stage] = []
        self.least = least

    def solve(self, objective: Objective, weights: Sequence[Fraction] | None = None) -> Choice | None:
        """The optimum, or the best by the time limit; None if nothing fits.

        Args:
            objective: what is minimised.
            weights: of a tick, a bit and, if it is asked for, a quantum, for the weighted objective.
        """
        caps: list[tuple[TotalMeasure, int]] = []
        chosen: Chosen | None = None
        for measure in self._order(objective, weights):
            chosen = self._stage(measure, tuple(caps), chosen)
            if chosen is None:
                return None
            total = self.stages[-1].total
            loose = objective.capped and len(self.stages) == 1
            caps.append((measure, objective.cap(total) if loose else total))
        assert chosen is not None
        return Choice(chosen, self._points(chosen), tuple(self.stages))

    @staticmethod
    def _order(objective: Objective, weights: Sequence[Fraction] | None) -> list[TotalMeasure]:
        if objective.quantity is None:
            assert weights is not None
            total = Measure(Price.of(*weights))
            return [TotalMeasure.whole(total), LATENCY, TRAFFIC]
        *before, last = objective.steps(lambda: Price(0, 0, 0))  # which are sums' alone
        return [TotalMeasure.whole(m) for m in (*(step.measures[0] for step in before), *last.measures)]

    def _points(self, chosen: Chosen) -> tuple[Point, ...]:
        return tuple(self._point(key) for key in chosen.runs)

    def _point(self, key: Key) -> Point:
        """A point with what it really needs."""
        b, s, p = key
        return (
            self.blocks[b].states[s].points[p]
            if self.growth is None
            else self.growth.real(self.blocks[b], s, p)
        )

    def _total(self, measure: TotalMeasure, chosen: Chosen) -> int:
        return sum(measure.of(point) for point in self._points(chosen))

    def _stage(
        self, measure: TotalMeasure, caps: tuple[tuple[TotalMeasure, int], ...], known: Chosen | None
    ) -> Chosen | None:
        """Minimise a measure under caps that a known solution keeps.

        The program's scale follows from what is known, so that its optimum, if that is far better, is proven
        to the last step by the program once more.
        """
        started = monotonic()
        known = known or self._nothing_stays(measure)
        if sum(1 for block in self.blocks for _ in block.choices()) > _MANY:
            known = self._first(measure, caps, known)
        refused: tuple[Chosen, ...] = ()
        while True:
            before = None if known is None else self._total(measure, known)
            aim = NetworkAim(measure, caps, before, refused)
            program = build_network_milp(self.hardware, self.tensors, self.blocks, aim, self.weights)
            answer = self._answer(program, known)
            found = None if answer.x is None else program.solution()
            grows = found is not None and self._grow(found)
            if grows and found is not None:
                known, found = self._repaired(found, measure, caps, known), None
            if found is not None and not self._keeps(found, caps):
                refused = (*refused, found)
                if len(refused) > _REFUSALS:
                    raise AssertionError("the solver's rounding is beyond repair")
                continue
            known = self._better(measure, found, known)
            proven = answer.termination is Termination.OPTIMAL
            if known is None and grows and proven:
                continue
            if known is None:
                return None
            total = self._total(measure, known)
            bound = program.floor if answer.bound is None else self._bound(program, answer.bound, total)
            if grows and bound < total and proven:
                continue
            again = before is None or 2 * (total - program.floor) < before - program.floor
            if bound == total or not proven or not again:
                break
        self._dump(program, measure)
        size = answer.size.rows, answer.size.cols
        termination = answer.termination
        if any(state.beside for block in self.blocks for state in block.states):
            loose = self._loose_bound(NetworkAim(measure, caps, total), known)
            termination = Termination.ITERATION_LIMIT if proven and loose < bound else termination
            bound = min(bound, loose)
        if not all(state.complete for block in self.blocks for state in block.states):
            latency, traffic, spent = self.least
            least = measure.tick * latency + measure.bit * traffic + measure.quantum * spent
            bound = min(bound, least)
            termination = Termination.TIME_LIMIT
        seconds = monotonic() - started
        self.stages.append(Stage(measure, total, bound, termination, seconds, answer.nodes, size))
        return known

    def _loose_bound(self, aim: NetworkAim, known: Chosen) -> int:
        """What is proven where some ways to run blocks are known by bounds alone: these are let in."""
        blocks = tuple(block.loosened for block in self.blocks)
        program = build_network_milp(self.hardware, self.tensors, blocks, aim, self.weights)
        answer = self._answer(program, known)
        assert aim.known is not None
        return program.floor if answer.bound is None else self._bound(program, answer.bound, aim.known)

    def _first(
        self, measure: TotalMeasure, caps: tuple[tuple[TotalMeasure, int], ...], known: Chosen | None
    ) -> Chosen | None:
        """A solution of the program with a few points of each state: what it costs leaves out most others."""
        before = None if known is None else self._total(measure, known)
        aim = NetworkAim(measure, caps, before, thin=_FEW, start=known)
        program = build_network_milp(self.hardware, self.tensors, self.blocks, aim, self.weights)
        answer = self._answer(program, known)
        found = None if answer.x is None else program.solution()
        if found is not None and self._grow(found):
            return self._repaired(found, measure, caps, known)
        if found is None or not self._keeps(found, caps):
            return known
        return self._better(measure, known, found)

    def _better(self, measure: TotalMeasure, *found: Chosen | None) -> Chosen | None:
        """The first of the best; None if there is none."""
        some = (chosen for chosen in found if chosen is not None)
        return min(some, key=lambda c: self._total(measure, c), default=None)

    def _grow(self, found: Chosen) -> bool:
        """Let the frontiers grow where a solution does not fit by what it really needs; whether any did."""
        buffer = self.hardware.buffer_bits
        if self.growth is None or self.growth.fits(buffer, self.blocks, found):
            return False
        grown = self.growth.grown(buffer, self.blocks, found)
        self.blocks = self.blocks if grown is None else grown
        return grown is not None

    def _repaired(
        self,
        found: Chosen,
        measure: TotalMeasure,
        caps: tuple[tuple[TotalMeasure, int], ...],
        known: Chosen | None,
    ) -> Chosen | None:
        """The better of a known solution and of one that has in it what stays in another, and fits."""
        assert self.growth is not None
        buffer, others = self.hardware.buffer_bits, [m for m, _ in caps]
        repaired = self.growth.repaired(buffer, self.blocks, found, measure, others)
        if repaired is None or not self._keeps(repaired, caps):
            return known
        return self._better(measure, known, repaired)

    def _answer(self, program: NetworkMilp, known: Chosen | None) -> MilpAnswer:
        left = None if self.deadline is None else max(_LEAST_SECONDS, self.deadline - monotonic())
        try:
            return self._solved(program, known, left)
        except TimeUp:  # before the solver had begun
            nothing = Size(0, 0, 0)
            return MilpAnswer(self.backend, nothing, Termination.TIME_LIMIT, None, None, None, 0, 0)

    def _solved(self, program: NetworkMilp, known: Chosen | None, left: float | None) -> MilpAnswer:
        start = [] if known is None else program.start(known)
        # without presolve: HiGHS's has lost optima of the last of three programs (FlowNetC, fused)
        # within a step, beside weights: sums of all but equal knapsacks differ by no less, and are many
        step = float(program.step / program.unit)
        gap = 0.0 if self.growth is None else max(0.0, _WITHIN * step - _ROUNDING)
        return solve_milp(
            program.model, backend=self.backend, time_limit=left, start=start, presolve=False, gap=gap
        )

    @staticmethod
    def _bound(program: NetworkMilp, bound: float, total: int) -> int:
        """The solver's bound in the measure, less its rounding; totals lie in steps above the floor."""
        steps = (program.value(bound - _ROUNDING) - program.floor) / program.step
        return min(total, program.floor + program.step * max(0, ceil(steps)))

    def _keeps(self, chosen: Chosen, caps: Sequence[tuple[TotalMeasure, int]]) -> bool:
        """Whether a solution keeps all caps and capacities, in integers."""
        if any(self._total(measure, chosen) > cap for measure, cap in caps):
            return False
        held = sum(self.weights[w].bits for w in chosen.weights)
        for (b, _, _), point in zip(chosen.runs, self._points(chosen), strict=True):
            positions = self.blocks[b].positions
            kept = (t for t in chosen.stays if any(self.tensors[t].alive(p) for p in positions))
            bits = sum(kept_bits(self.hardware, self.tensors[t]) for t in kept)
            if point.need + bits + held > self.hardware.buffer_bits:
                return False
        return True

    def _nothing_stays(self, measure: TotalMeasure) -> Chosen | None:
        """The best blocks that cover all layers while nothing stays; None if there are none."""
        ending: dict[int, list[tuple[int, int, Key]]] = {}
        for b, block in enumerate(self.blocks):
            points = [
                (measure.of(p), s, i)
                for s, i, p in block.choices()
                if not block.states[s].anything and self._point((b, s, i)).need <= self.hardware.buffer_bits
            ]
            if points:
                value, s, i = min(points)
                ending.setdefault(block.last, []).append((block.first, value, (b, s, i)))
        covers: list[tuple[int, tuple[Key, ...]] | None] = [(0, ())]
        for position in range(1 + max(block.last for block in self.blocks)):
            found = [
                (before[0] + value, (*before[1], key))
                for first, value, key in ending.get(position, ())
                if (before := covers[first]) is not None
            ]
            covers.append(min(found, default=None))
        return None if covers[-1] is None else Chosen(frozenset(), covers[-1][1])

    def _dump(self, program: NetworkMilp, measure: TotalMeasure) -> None:
        if self.dump is not None:
            folder, name = self.dump
            lines = (
                f"{self.hardware}",
                "run(layer,n,p): as point p while n tensors of each of its kinds stay; stay(tensor)",
                f"{measure.name} = {program.floor} + {float(program.unit)!r} * objective"
                f" [{measure.tick} per tick, {measure.bit} per bit{_quantum(measure)}]",
            )
            write(program.model, lines, folder, f"{name}.{len(self.stages) + 1}.{measure.name}")


def _quantum(measure: TotalMeasure) -> str:
    return f", {measure.quantum} per quantum of what is spent" if measure.quantum else ""
