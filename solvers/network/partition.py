"""``static: auto``: the one partition of the buffer that is best for a whole network.

Enumerated are all divisions of the buffer into parts of whole units (``formulation.space.frontier.Units``:
banks, or 1/24 of a buffer without banks), each part at least one unit: 253 for 24 units. In each partition
every layer takes its own optimum under the objective, exactly what the method ``static`` finds there; the
totals over the network, every layer times its count, then choose:

* ``latency``: the least total latency, ties by total traffic; ``traffic`` the other way round.
* ``balanced``: with L* the least total, over all partitions, of the layers' least latencies: the least total
  traffic among partitions whose total latency is at most ``(1 + tolerance) * L*``, ties by total latency.
  (In the partition of L* each layer keeps to its own cap, so their total keeps to the network's.)
* ``weighted``: the least weighted sum of total latency / roofline and total traffic / compulsory traffic of
  the network, ties by total latency, then total traffic.

What still ties: the first in lexicographic order of I, O, W. ``solvers.network.partition_program`` chooses
from the same table by a mixed-integer program. If no partition holds every layer, those that hold the most
(counted as they run) are compared, by the totals of the layers that fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from formulation.hardware import BitWidths
from formulation.mapping import Partition
from formulation.pricing.objective import Objective, least_price
from formulation.pricing.price import Price
from formulation.problem import Problem
from formulation.space.frontier import Units, frontier
from solvers.network.attempt import Failure
from solvers.network.tasks import Task, run_tasks
from solvers.network.work import effort

if TYPE_CHECKING:
    from solvers.network.workers import Workers

Shares = tuple[int, int, int]
"""Units of the buffer for ifmap, ofmap and weights."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One layer in one partition: its optimum there.

    Attributes:
        price: of the optimum.
        least_latency: of any mapping within the partition [ticks]; the optimum's, or within the tolerance of
            it for the balanced objective.
    """

    price: Price
    least_latency: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a network in one partition, over the layers that fit.

    Attributes:
        unfit: runs of layers that do not fit.
        price: sum of the layers' prices.
        least_latency: sum of the layers' least latencies [ticks].
    """

    unfit: int
    price: Price
    least_latency: int


@dataclass(frozen=True, slots=True)
class Table:
    """Every layer's optimum in every partition.

    Attributes:
        problems: the layers, with how often each runs.
        units: of the buffer.
        shares: the partitions, in lexicographic order.
        entries: per partition, per layer; None where a layer does not fit, or is lost.
        lost: layers that the program failed on, and how; they count as if they fit nowhere.
    """

    problems: tuple[tuple[Problem, int], ...]
    units: Units
    shares: tuple[Shares, ...]
    entries: tuple[tuple[Entry | None, ...], ...]
    lost: dict[Problem, str] = field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """Of all layers."""
        return self.problems[0][0].objective

    def partition(self, place: int) -> Partition:
        """The partition at a position of ``shares`` [bits]."""
        return self.units.partition(self.shares[place])

    def rows(self) -> tuple[Totals, ...]:
        """The totals, per partition."""
        counts = [count for _, count in self.problems]
        return tuple(_totals(entries, counts) for entries in self.entries)


def _totals(entries: Sequence[Entry | None], counts: Sequence[int]) -> Totals:
    fits = [(e, n) for e, n in zip(entries, counts, strict=True) if e is not None]
    return Totals(
        sum(counts) - sum(n for _, n in fits),
        _total([(e.price, n) for e, n in fits]),
        sum(n * e.least_latency for e, n in fits),
    )


def _total(prices: Sequence[tuple[Price, int]]) -> Price:
    """The sum of prices with their counts."""
    return Price(*(sum(n * price[i] for price, n in prices) for i in range(len(Price._fields))))


def partition_table(problems: Sequence[tuple[Problem, int]], *, workers: Workers | None = None) -> Table:
    """Every layer's optimum in every partition.

    Args:
        problems: distinct layers on one machine with one objective and a free partition, and how often
            each runs.
        workers: processes to use; the table does not depend on them.

    Raises:
        ValueError: if there is no layer, or they differ in objective or machine, word widths aside.
    """
    if len({(replace(p.hardware, bits=BitWidths()), p.objective) for p, _ in problems}) != 1:
        raise ValueError("the layers of one machine and one objective, and at least one, are needed")
    layers = [replace(problem, partition=None) for problem, _ in problems]
    units = Units.of(layers[0].hardware)
    shares = tuple(units.shares())
    tasks = [Task("", layer_column, (layer,), Failure, effort=effort(layer)) for layer in layers]
    outcomes = run_tasks(tasks, workers=workers)
    lost = {p: c.text for (p, _), c in zip(problems, outcomes, strict=True) if isinstance(c, Failure)}
    nowhere: list[Entry | None] = [None] * len(shares)
    columns = [nowhere if isinstance(column, Failure) else column for column in outcomes]
    return Table(tuple(problems), units, shares, tuple(zip(*columns, strict=True)), lost)


def layer_column(problem: Problem) -> list[Entry | None]:
    """One layer's optimum in every partition."""
    front = frontier(problem)
    column: list[Entry | None] = []
    for shares in Units.of(problem.hardware).shares():
        inside = front.take(front.within(shares))
        column.append(_entry(problem, inside.price) if len(inside) else None)
    return column


def _entry(problem: Problem, inside: Price) -> Entry:
    """The optimum of some mappings: step by step, each within the cap over the latency of the one before."""
    at, within = 0, np.arange(len(inside.latency))
    for step in problem.steps:
        if step.capped:
            within = np.flatnonzero(inside.latency <= problem.cap(int(inside.latency[at])))
        keys = tuple(measure.whole(inside)[within] for measure in step.measures)
        at = int(within[np.lexsort(keys[::-1])[0]])
    return Entry(inside.one(at), int(inside.latency.min()))


def best_place(table: Table) -> int:
    """The position of the best partition, by comparing the totals of all."""
    rows, keys = table.rows(), network_keys(table)
    places = [place for place, excess in enumerate(least_excess(table)) if excess <= 0]
    return min(places, key=lambda place: (keys(rows[place]), place))


def least_excess(table: Table) -> list[int]:
    """By how much each partition misses what is asked of it first; 0 or below where it does not.

    That is to hold the most layers, and for the balanced objective a total latency within the cap [ticks].
    """
    rows = table.rows()
    unfit = min(row.unfit for row in rows)
    if not table.objective.capped:
        return [row.unfit - unfit for row in rows]
    cap = table.objective.cap(min(row.least_latency for row in rows if row.unfit == unfit))
    return [row.unfit - unfit if row.unfit > unfit else row.price.latency - cap for row in rows]


def network_keys(table: Table) -> Callable[[Totals], tuple[Fraction | int, ...]]:
    """The quantities that a network's totals are compared by, the most important first.

    A weighted sum is of the network's totals over its roofline and its compulsory traffic.
    """
    least = _total([(least_price(p.layer, p.hardware), n) for p, n in table.problems])
    last = table.objective.steps(lambda: least)[-1]
    return lambda row: tuple(measure.exact(row.price) for measure in last.measures)
