"""What one more KiB of buffer, or one more GB/s, is worth: derivatives of the relaxed optimum.

By the envelope theorem the derivative of an optimum in a parameter is the Lagrangian's partial derivative,
at the solution and its multipliers. The buffer enters as the right-hand side of the capacity constraints, so
its derivative is their multiplier. The bandwidth enters the latency constraints linearly through the cycles
that one bit takes, so its derivative is a difference of two Lagrangians, exact.

The values are of the class of mappings whose bound is the least, or of the roofline and the compulsory
traffic where these are the bound: marginal values of what the *bound* would
become, not of the integer mapping, which changes in steps. The balanced objective's latency cap is held.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from formulation.pricing.price import Price
from formulation.relaxed.classes import Aim
from formulation.relaxed.loading import load
from formulation.relaxed.structure import TENSORS
from solvers.backends.posynomial import Floats, Program
from solvers.bounds.bounded import Bounded, SolvedModel
from solvers.bounds.bounding import Bounder, form

_KIB_BITS = 8 * 1024
_NEAR = 1e-3  # relative; a model whose bound is this close to the least stands for it
_NOISE = 1e-4  # rooflines or compulsory traffics per doubling; less is within the solver's tolerance


def sensitivity(bounder: Bounder, stages: Mapping[str, Bounded]) -> dict[str, float | None]:
    """Marginal values, as savings: positive where more capacity or bandwidth helps.

    Returns:
        ``cycles_per_kib, cycles_per_gbps`` where latency was bounded, ``bytes_per_kib, bytes_per_gbps`` where
        traffic was, ``score_per_kib, score_per_gbps`` for the weighted objective; None elsewhere.
    """
    relaxation = bounder.relaxation
    units = {
        "latency": ("cycles", relaxation.roofline_cycles),
        "traffic": ("bytes", relaxation.compulsory_bits / 8),
        "score": ("score", 1.0),
    }
    hardware = relaxation.problem.hardware
    kib, gbps = hardware.buffer_bits / _KIB_BITS, float(hardware.bandwidth)
    found: dict[str, float | None] = {}
    for name, (unit, scale) in units.items():
        worth = _per_doubling(bounder, stages[name], name) if name in stages else None
        found[f"{unit}_per_kib"] = None if worth is None else scale * worth[0] / kib
        found[f"{unit}_per_gbps"] = None if worth is None else scale * worth[1] / gbps
    return found


def _per_doubling(bounder: Bounder, stage: Bounded, name: str) -> tuple[float, float] | None:
    """Savings per doubling of the buffer and of the bandwidth, to first order; None without a bound."""
    if stage.bound is None:
        return None
    if stage.points and stage.points[0].bound <= stage.bound * (1 + _NEAR):
        return _buffer(stage.points[0]), _bandwidth(bounder, stage.points[0])
    if stage.bound > stage.floor * (1 + _NEAR):
        return None
    return 0.0, bounder.relaxation.transfer_bound if name == "latency" else 0.0


def _buffer(point: SolvedModel) -> float:
    """Savings per doubling of the buffer: ``- d L / d capacity``, to first order."""
    program = point.program
    names = {"parts_fit", *(f"partition[{tensor}]" for tensor in TENSORS)}
    at = [i for i, row in enumerate(program.rows) if row in names]
    return _positive(float(-(point.multipliers[at] @ program.constant[at])))


def _bandwidth(bounder: Bounder, point: SolvedModel) -> float:
    """Savings per doubling of the bandwidth: ``c * d L / d c``, with c the cycles that one bit takes."""
    if not point.variant.structure.timed:
        return 0.0
    load(
        bounder.relaxation,
        form(point.variant.structure).model,
        point.variant,
        Aim(Price.of(0.0, 0.0), Price.of(1.0, 1.0)),
    )
    model = form(point.variant.structure).model
    model.cycles_per_bit.set_value(2 * model.cycles_per_bit.value)
    slow = form(point.variant.structure).program()
    return _positive(_lagrangian(slow, point) - _lagrangian(point.program, point))


def _lagrangian(program: Program, point: SolvedModel) -> float:
    weights: Floats = np.maximum(point.multipliers, 0.0)
    return float(weights @ program.constraints(point.x))


def _positive(value: float) -> float:
    return value if value > _NOISE else 0.0
