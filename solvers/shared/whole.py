"""Whole programs of shared ifmap tiles: solved where nothing is to be sieved, written beside what was solved.

The search goes first: its answer is the solver's start, and sets the scale. What the solver then proves rests
on the program alone; a mapping that its proof excludes is an error. The program is below the exact one by no
more than its rounding (``Milp.margin``), so it is solved to within that, and the search has the last digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Fields
from fractions import Fraction
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from formulation.pricing.objective import Measure
from formulation.pricing.price import Price
from formulation.program.candidates import Check
from formulation.program.scaling import SPAN, ProgramAim
from formulation.shared.packing.rounds import packing_of
from formulation.shared.space import SharedSpace
from formulation.shared.tiles import Tiles
from formulation.space.space import CLASSES
from solvers.backends.deadline import Deadline, TimeUp
from solvers.backends.files import scale_lines, write
from solvers.backends.linear import solve_milp
from solvers.backends.log import Log
from solvers.backends.milp import MilpAnswer, SolverDisagreement
from solvers.goals import Goal, Outcome
from solvers.result import BoundFrom, Termination
from solvers.shared.candidates import SharedFound
from solvers.shared.search import SharedSearch

if TYPE_CHECKING:
    from formulation.shared.whole.model import SharedMilp

#: On the scaled axes; a gap that is less than the rounding of most programs.
_GAP = 1e-4 * SPAN
_LEGEND = (
    "variant(v): the loop order, by the tensor that stays; _whole: with all input channels in one tile",
    "out(v_rounds..): number of rounds; inp(v_ci..): input channels; tile(v_...): batch and axes of a tile",
    "x(i_r), y(i_r): filters, and passes at the array, of item i in round r (from 0); round(r): it is used",
    "fullest(weights): weights per input channel of the fullest round; fullest(ofmap_c): its outputs",
    "passes..(all): passes beyond the fewest, of a kind of sub-kernel; work(s): what passes of a shape take",
    "window, beside(v_ci..): ifmap words, and weights of the fullest round, with so many input channels;",
    "pixels, work..(v_tile): outputs of the fullest round, and passes, with that tile; words(v_rounds..):",
    "ifmap words of one pass; each from its least (0) to its greatest (1), and 0 beside what is not chosen",
    "part(v_x): of the buffer, for a tensor",
    "an optimum read back: variant, out, inp and tile that are 1 are loops and tiles; x packs the filters",
)


class WholePrograms:
    """The whole programs of one problem.

    Args:
        space: the map space.
        files: folder and stem of their names; None for none.
    """

    def __init__(self, space: SharedSpace, files: tuple[Path, str] | None) -> None:
        self.space, self.files = space, files
        self.tiles: Tiles | None = None

    def build(self, measures: Sequence[Measure], goal: Goal, known: Price, check: Check = bool) -> SharedMilp:
        """The program of the last measure, those before it held at a known price.

        Args:
            measures: the most important first.
            goal: has the cap.
            known: sets the scale.
            check: called between pieces of work; what it raises ends it.
        """
        from formulation.shared.whole.choices import whole_tiles
        from formulation.shared.whole.model import build_shared

        self.tiles = self.tiles or whole_tiles(self.space, check)
        return build_shared(self.space, self.tiles, ProgramAim.of(measures, goal.cap, known), check)

    def dump(self, goal: Goal, known: Price) -> None:
        """Write the programs of a goal's first measure, if that is wanted: mixed-integer and nonlinear."""
        if self.files is not None:
            from solvers.shared.nonlinear import dump_nonlinear_shared

            self.write(self.build(goal.measures[:1], goal, known), goal.measures[0].name)
            dump_nonlinear_shared(self.space.problem, [(goal.measures[0], goal.cap)], *self.files)

    def write(self, program: SharedMilp, stage: str) -> None:
        """Write a program, if that is wanted."""
        if self.files is not None:
            folder, stem = self.files
            write(program.milp.model, self._heading(program), folder, f"{stem}.{stage}")

    def _heading(self, program: SharedMilp) -> Iterator[str]:
        from solvers.shared.nonlinear import shared_words

        yield from shared_words(self.space.problem)
        yield from scale_lines(program.milp, self.space.hardware, self.space.problem.objective)
        layers = self.space.kernels.layers
        for i, (kind, members) in enumerate(program.items):
            names = ", ".join(layers[j].name.rpartition("/")[2] for j in members)
            yield f"item {i}: sub-kernel {names}, {layers[members[0]].taps} taps, kind {kind}"
        for c, ratio in enumerate(program.made.ratios.tolist()):
            pixels = " : ".join(map(str, ratio))
            yield f"ofmap_{c}: in units of tiles whose pixels, by shape of sub-kernel, are as {pixels}"
        yield from _LEGEND


class ProgramSearch(SharedSearch):
    """A search that hands programs to a solver.

    Args:
        space: the map space.
        deadline: when to stop, by ``time.monotonic``; None for never.
        files: folder and stem of the dumped programs; None for none.
        options: of ``solve_milp``: the solver, its threads and seed.
    """

    def __init__(
        self,
        space: SharedSpace,
        deadline: float | None = None,
        files: tuple[Path, str] | None = None,
        options: Fields[str, Any] | None = None,
    ) -> None:
        super().__init__(space, deadline)
        self.programs, self.options, self.log = WholePrograms(space, files), options or {}, Log()
        self.built = 0

    def extras(self) -> dict[str, object]:
        """Programs built, nodes of their trees, and what each took."""
        return {"models": self.built, "nodes": self.log.nodes, "solves": self.log.solves}


class WholeSearch(ProgramSearch):
    """A search whose answer is proven by whole programs."""

    def minimise(self, goal: Goal, known: Sequence[SharedFound] = (), *, settle: bool = True) -> Outcome[Any]:
        """As of ``SharedSearch.minimise``; of a step that is not to settle, in its first measure.

        Where the solver is stopped, and its bound is below that of the search, the latter stands.
        """
        searched = super().minimise(goal, known)
        if self.best is None:
            return searched
        bound, origin, proven = searched.bound or 0, BoundFrom.SIEVE, searched.proven
        for i in range(len(goal.measures) if settle else 1):
            least, solved = self._solve(goal, goal.measures[: i + 1])
            proven = proven and solved
            if i == 0 and (solved or least > bound):
                origin = BoundFrom.PROGRAM
                bound = bound if proven else min(least, self.best.keys[0])
            if not solved:
                break
        self.programs.dump(goal, self.best.price)
        return Outcome(self.best, bound, proven, origin)

    def _solve(self, goal: Goal, measures: Sequence[Measure]) -> tuple[Fraction, bool]:
        """A bound on the last measure, and whether it is that of the best mapping but for rounding."""
        assert self.best is not None
        measure = measures[-1]
        deadline = Deadline(self.deadline)
        try:
            program = self.programs.build(measures, goal, self.best.price, deadline.check)
            self.built += 1
            stage = f"{self.built}-{measure.name}"
            self.programs.write(program, stage)
            gap, started = min(_GAP, program.milp.margin), monotonic()
            start = program.start(self.best.mapping)
            solved = solve_milp(
                program.milp.model,
                time_limit=deadline,
                start=start,
                presolve=False,
                gap=gap,
                **self.options,
            )
        except TimeUp:
            return Fraction(0), False
        self.log.add(stage, solved, monotonic() - started)
        self._check(program, solved, goal, measure, gap)
        if solved.bound is None:
            return Fraction(0), False
        least = Fraction(program.milp.objective.value(solved.bound - program.milp.margin))
        return least, solved.termination is Termination.OPTIMAL

    def _check(
        self, program: SharedMilp, solved: MilpAnswer, goal: Goal, measure: Measure, gap: float
    ) -> None:
        """Price the solver's mapping in integers, and hold what it proves against the best mapping."""
        if solved.termination not in (Termination.OPTIMAL, Termination.TIME_LIMIT):
            raise SolverDisagreement(f"{solved.solver} stopped with {solved.termination}")
        if solved.objective is not None:
            self._take(program, goal)
        assert self.best is not None
        milp = program.milp
        best = milp.objective.scaled(float(measure.exact(self.best.price)))
        low = solved.bound is not None and best < solved.bound - milp.margin
        high = solved.termination is Termination.OPTIMAL and solved.objective is not None
        if low or (high and best > max(solved.objective or 0.0, 0.0) + milp.margin + gap):
            raise SolverDisagreement(
                f"{solved.solver}'s least {measure.name} is between {solved.bound} and {solved.objective}, "
                f"that of {self.best.mapping} is {best} (margin {milp.margin})"
            )

    def _take(self, program: SharedMilp, goal: Goal) -> None:
        """Keep the mapping of a solution if it is allowed and better."""
        space, (which, ci, row) = self.space, program.choice()
        tile = program.made.tiles.take(slice(row, row + 1))
        rounds = packing_of(space.packing(tile, ci).items, program.packed()).rounds
        rank = int(tile.table.rank[0])
        mapping = space.mapping(CLASSES[which], ci, rank, rounds, tile)
        cost = space.problem.evaluate(mapping)
        if space.problem.is_feasible(cost):
            self._offer(goal, (which, len(rounds[0]), ci, rank), mapping, space.problem.price(cost))
