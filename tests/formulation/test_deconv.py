"""Deconvolutions: the split's parts, computed and gathered, equal the transposed convolution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from formulation.bounds import compulsory_bits
from formulation.deconv import naive, split, unique_layers
from formulation.hardware import Hardware
from tests import strategies
from tests.strategies import examples


def scatter(ifmap, weights, axes):
    """The transposed convolution by its definition: each input times the kernel, added into the output.

    Shapes: ifmap (Ci, *in), weights (Ci, Co, *kernel), result (Co, *out).
    """
    full = [(a.in_size - 1) * a.stride + a.dilation * (a.kernel - 1) + 1 for a in axes]
    room = [max(n, a.out + a.pad_lo) + abs(a.pad_lo) + a.out for n, a in zip(full, axes, strict=True)]
    low = [max(0, -a.pad_lo) for a in axes]
    result = np.zeros((weights.shape[1], *room), dtype=np.int64)
    for tap in np.ndindex(*weights.shape[2:]):
        at = tuple(
            slice(o + a.dilation * t, o + a.dilation * t + (a.in_size - 1) * a.stride + 1, a.stride)
            for o, a, t in zip(low, axes, tap, strict=True)
        )
        result[(slice(None), *at)] += np.tensordot(weights[(slice(None), slice(None), *tap)], ifmap, (0, 0))
    start = [o + a.pad_lo for o, a in zip(low, axes, strict=True)]
    return result[(slice(None), *(slice(s, s + a.out) for s, a in zip(start, axes, strict=True)))]


def convolve(ifmap, weights, axes):
    """A convolution by its definition. Shapes as of ``scatter``."""
    result = np.zeros((weights.shape[1], *(a.out for a in axes)), dtype=np.int64)
    for out in np.ndindex(*(a.out for a in axes)):
        for tap in np.ndindex(*weights.shape[2:]):
            at = [y * a.stride - a.pad_lo + t * a.dilation for y, t, a in zip(out, tap, axes, strict=True)]
            if all(0 <= p < a.in_size for p, a in zip(at, axes, strict=True)):
                result[(slice(None), *out)] += (
                    ifmap[(slice(None), *at)] @ weights[(slice(None), slice(None), *tap)]
                )
    return result


def operands(deconv, seed=0):
    random = np.random.default_rng(seed)
    ifmap = random.integers(-9, 10, (deconv.in_channels, *(a.in_size for a in deconv.axes)))
    shape = (deconv.in_channels, deconv.out_channels, *(a.kernel for a in deconv.axes))
    return ifmap, random.integers(-9, 10, shape)


def gathered(deconv, ifmap, weights):
    """All sub-convolutions computed apart, their outputs put where they belong; -1 where none does."""
    result = np.full((deconv.out_channels, *(a.out for a in deconv.axes)), np.iinfo(np.int64).min)
    for sub in split(deconv):
        part = np.zeros((deconv.out_channels, *sub.out), dtype=np.int64)
        if sub.layer is not None:
            taps = [range(p.first_tap, p.first_tap + p.taps * p.tap_step, p.tap_step) for p in sub.phases]
            kernel = weights[(slice(None), slice(None), *np.ix_(*(list(t)[::-1] for t in taps)))]
            part = convolve(ifmap, kernel, sub.layer.axes)
        where = [range(p.residue, a.out, a.stride) for p, a in zip(sub.phases, deconv.axes, strict=True)]
        result[(slice(None), *np.ix_(*where))] = part
    return result


@examples(150)
@given(
    st.lists(strategies.transposed_axes(most=4), min_size=1, max_size=2), st.integers(1, 3), st.integers(1, 2)
)
def test_split_and_naive_equal_the_transposed_convolution(axes, co, ci):
    deconv = Deconvolution("d", co, ci, tuple(axes))
    ifmap, weights = operands(deconv)
    direct = scatter(ifmap, weights, axes)
    assert np.array_equal(gathered(deconv, ifmap, weights), direct)
    up = np.zeros((ci, *(a.in_size for a in naive(deconv).axes)), dtype=np.int64)
    up[(slice(None), *(slice(0, (a.in_size - 1) * a.stride + 1, a.stride) for a in axes))] = ifmap
    flipped = weights[(slice(None), slice(None), *(slice(None, None, -1) for _ in axes))]
    assert np.array_equal(convolve(up, flipped, naive(deconv).axes), direct)


@examples(100)
@given(st.lists(strategies.transposed_axes(), min_size=1, max_size=3))
def test_split_accounts_for_every_output_weight_and_mac(axes):
    deconv = Deconvolution("d", 3, 2, tuple(axes), batch=2, groups=2)
    subs = split(deconv)
    layers = [sub.layer for sub in subs if sub.layer is not None]
    assert sum(sub.ofmap_words for sub in subs) == deconv.ofmap_words
    assert sum(layer.macs for layer in layers) == deconv.macs
    assert sum(layer.weight_words for layer in layers) <= deconv.weight_words
    assert naive(deconv).macs == deconv.macs_zero_inserted
    assert sum(len(alike) for _, alike in unique_layers(subs)) == len(layers)
    machine = Hardware()
    together = sum(compulsory_bits(layer, machine) for layer in layers)
    writes_only = sum(sub.ofmap_words for sub in subs if sub.layer is None) * machine.bits.ofmap
    assert compulsory_bits(deconv, machine) <= together + writes_only


def test_three_axes_of_stride_two_make_eight():
    deconv = Deconvolution("d", 2, 2, (TransposedAxis(3, 3, 2, 1, 1, 1, 1),) * 3)
    ifmap, weights = operands(deconv)
    assert len(split(deconv)) == 8
    assert sorted({sub.layer.taps for sub in split(deconv)}) == [1, 2, 4, 8]
    assert np.array_equal(gathered(deconv, ifmap, weights), scatter(ifmap, weights, deconv.axes))


@pytest.mark.parametrize(
    ("axis", "taps"),
    [
        (TransposedAxis(4, 3, 2, pad_lo=1, pad_hi=1, output_padding=1), [1, 2]),  # odd kernel
        (TransposedAxis(4, 4, 2, pad_lo=1, pad_hi=1), [2, 2]),  # even kernel
        (TransposedAxis(4, 2, 3), [1, 1, 0]),  # kernel smaller than the stride
        (TransposedAxis(4, 3, 2, dilation=2), [3, 0]),  # phases without taps
        (TransposedAxis(4, 16, 8), [2] * 8),
    ],
)
def test_taps_of_the_phases(axis, taps):
    assert [phase.taps for phase in axis.phases] == taps
