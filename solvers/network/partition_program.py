"""The best partition for a network by mixed-integer programs, over ``solvers.network.partition.Table``."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from formulation.program.partition import build_partition_milp
from solvers.backends.linear import solve_milp
from solvers.backends.registry import DEFAULT_MILP
from solvers.network.partition import Table, network_keys
from solvers.result import Termination


def best_place_milp(table: Table, backend: str = DEFAULT_MILP) -> int:
    """The position of the best partition, by a solver; equal to ``solvers.network.partition.best_place``.

    A hierarchy of programs: the fewest runs of layers that do not fit; for the balanced objective the least
    sum of the layers' least latencies, whose cap bounds total latency from there on; then the objective's
    quantities, each with those before it held at their optimum; then the position.

    Args:
        table: of all partitions.
        backend: the solver, one of ``solvers.backends.MILP``.
    """
    rows, keys = table.rows(), network_keys(table)
    unfit = [row.unfit for row in rows]
    place = _least(unfit, [], backend)
    bounded = [[n - unfit[place] for n in unfit]]
    if table.objective.capped:
        place = _least([row.least_latency for row in rows], bounded, backend)
        cap = table.objective.cap(rows[place].least_latency)
        bounded.append([row.price.latency - cap for row in rows])
    quantities = [_integers(column) for column in zip(*map(keys, rows), strict=True)]
    for column in (*quantities, range(len(rows))):
        place = _least(column, bounded, backend)
        bounded.append([value - column[place] for value in column])
    return place


def _integers(column: Sequence[Fraction | int]) -> list[int]:
    """Rationals times their common denominator."""
    scale = lcm(*(Fraction(value).denominator for value in column))
    return [int(value * scale) for value in column]


def _least(total: Sequence[int], excess: Sequence[Sequence[int]], backend: str) -> int:
    model = build_partition_milp(total, excess)
    solved = solve_milp(model, backend=backend)
    if solved.termination is not Termination.OPTIMAL:
        raise AssertionError(f"{solved.solver} stopped with {solved.termination} on a choice that exists")
    return next(int(p) for p in model.PARTITIONS if round(model.use[p].value) == 1)
