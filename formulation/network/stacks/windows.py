"""Which positions intervals of outputs need, many intervals at once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dnns.axes import Axis, Phase, TransposedAxis
from dnns.geometry import Window
from formulation.deconv import phase_axis
from formulation.extents import Ints

NOWHERE = 1 << 40
"""Where an empty interval begins: beyond any position. It ends at 0."""

Reach = Window | TransposedAxis
"""One spatial axis of a layer, or of an operator without MACs."""


def needed(window: Reach, first: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Inputs ``[lo, hi)`` that outputs ``first .. stop-1`` need, as ``window.interval`` says, for each pair.

    Of a transposed axis it is the hull of what the phases with taps need, each for its own outputs, as they
    run apart. An interval that is empty is ``(NOWHERE, 0)``.
    """
    if isinstance(window, TransposedAxis):
        lows, highs = [np.full_like(first, NOWHERE)], [np.zeros_like(first)]
        for phase in window.phases:
            if phase.taps:
                part = phase_axis(phase, window.in_size)
                low, high = needed(part, *phase_outputs(phase, window.stride, first, stop))
                lows.append(low)
                highs.append(high)
        return np.asarray(np.minimum.reduce(lows)), np.asarray(np.maximum.reduce(highs))
    low, high = _ends(window)
    last = len(low) - 1
    begin, end = low[np.clip(first, 0, last)], high[np.clip(stop - 1, 0, last)]
    some = (stop > first) & (end > begin)
    return np.where(some, begin, NOWHERE), np.where(some, end, 0)


def phase_outputs(phase: Phase, stride: int, first: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """The outputs of one phase among outputs ``first .. stop-1``, numbered within the phase."""
    return -(-(first - phase.residue) // stride), -(-(stop - phase.residue) // stride)


@lru_cache(maxsize=4096)
def _ends(window: Axis | Window) -> tuple[Ints, Ints]:
    """Where the interval of each single output begins and ends, the end within the input.

    An interval of several outputs begins where its first one's does and ends where its last one's does.
    """
    each = [window.interval(output, output + 1) for output in range(window.out)]
    low, high = (np.array(column, dtype=np.int64) for column in zip(*each, strict=True))
    return low, np.minimum(high, window.in_size)
