"""The choice of one partition for a whole network as a mixed-integer linear program in Pyomo.

``use[p]`` is binary, one per partition p of the table; ``n_l`` is how often layer l runs, ``cost[l,p]`` what
its optimum within p costs, ``limit`` what a quantity must not exceed:

    minimise    sum_p use[p] * (total[p] - least) / grain,        total[p] = sum_l n_l * cost[l,p]
    subject to  sum_p use[p] = 1
                sum_p use[p] * (bounded_j[p] - limit_j) / grain_j <= 0        for each bounded quantity j

``least`` is the least total. ``grain`` is the least positive difference in its row, and quotients are cut at
10^6: nothing that is compared with the best, or with a limit, changes sign by that, so that the
floating-point program has the optimum of the integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyomo.core as pyo

_STEEPEST = 10**6


def build_partition_milp(total: Sequence[int], excess: Sequence[Sequence[int]] = ()) -> Any:
    """One step of the hierarchy.

    Args:
        total: per partition, the quantity to minimise.
        excess: per bounded quantity and partition, by how much it is above its limit.

    Returns:
        A model with the variables ``use``, the objective ``cost`` and the constraints ``one`` and ``within``.
    """
    model = pyo.ConcreteModel("partition")
    model.PARTITIONS = pyo.RangeSet(0, len(total) - 1)
    model.use = pyo.Var(model.PARTITIONS, domain=pyo.Binary)
    model.one = pyo.Constraint(expr=pyo.quicksum(model.use.values()) == 1)
    least = min(total)
    model.cost = pyo.Objective(expr=_weighted_sum(model, [value - least for value in total]))
    rows = [row for row in excess if max(row) > 0]
    model.within = pyo.Constraint(range(len(rows)), rule=lambda m, j: _weighted_sum(m, rows[j]) <= 0)
    return model


def _weighted_sum(model: Any, differences: Sequence[int]) -> Any:
    grain = min((d for d in differences if d > 0), default=1)
    scaled = [max(-_STEEPEST, min(_STEEPEST, d / grain)) for d in differences]
    return pyo.quicksum(scale * model.use[p] for p, scale in enumerate(scaled))
