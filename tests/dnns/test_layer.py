"""Axes and phases against plain enumeration."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.axes import Axis, TransposedAxis
from dnns.layer import Deconvolution

SMALL = st.integers(1, 7)
PAD = st.integers(-3, 9)


@given(SMALL, SMALL, st.integers(1, 4), st.integers(1, 4), PAD, PAD, st.integers(1, 20))
def test_touched_is_the_set_of_positions_that_taps_read(out, kernel, stride, dilation, lo, hi, in_size):
    assume((out - 1) * stride + dilation * (kernel - 1) + 1 <= in_size + lo + hi)
    axis = Axis(out, kernel, stride, dilation, lo, hi, in_size)
    reads = {y * stride - lo + t * dilation for y in range(out) for t in range(kernel)}
    assert axis.touched == len([x for x in reads if 0 <= x < in_size])


@given(SMALL, SMALL, st.integers(1, 7), st.integers(1, 6), PAD, PAD, st.integers(0, 4))
def test_phases_hold_each_pair_of_output_and_tap_once(in_size, kernel, stride, dilation, lo, hi, extra):
    out = (in_size - 1) * stride - lo - hi + dilation * (kernel - 1) + extra + 1
    assume(out >= 1)
    axis = TransposedAxis(in_size, kernel, stride, dilation, lo, hi, extra)
    assert axis.out == out
    direct = {
        (x * stride + dilation * t - lo, t, x)
        for x in range(-100, 100)
        for t in range(kernel)
        if 0 <= x * stride + dilation * t - lo < out
    }
    by_phase = [
        (p.residue + stride * m, p.first_tap + p.tap_step * i, m + p.offset - i * p.reach)
        for p in axis.phases
        for m in range(p.out)
        for i in range(p.taps)
    ]
    assert len(by_phase) == len(set(by_phase))
    assert set(by_phase) == direct
    assert sum(p.out for p in axis.phases) == out
    layer = Deconvolution("d", 3, 2, (axis, axis))
    assert layer.macs == 6 * len(direct) ** 2


def test_huge_axes_cost_nothing():
    assert Axis(10**9, 3, 2, 1, 1, 1, 2 * 10**9).touched == 2 * 10**9
    axis = TransposedAxis(10**9, 7, 65_536, 65_535)
    assert axis.phases[0].taps == 1
