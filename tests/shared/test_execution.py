"""Proof by use: combined schedules run on real numbers, one ifmap tile resident, words counted."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.axes import TransposedAxis
from dnns.layer import Deconvolution
from formulation.hardware import Halo, Hardware
from formulation.mapping import Stationary
from formulation.problem import Kind, Objective
from formulation.shared.problem import SharedMapping, SharedProblem, SubKernels
from solvers.shared.methods import solve
from tests import strategies
from tests.formulation.test_deconv import scatter
from tests.walkers.ports import shared_ports
from tests.walkers.shared_walker import Machine


def operands(deconv):
    random = np.random.default_rng(7)
    shape = (deconv.groups, deconv.batch, deconv.in_channels, *(a.in_size for a in deconv.axes))
    kernel = (deconv.groups, deconv.in_channels, deconv.out_channels, *(a.kernel for a in deconv.axes))
    return random.integers(-9, 10, shape), random.integers(-9, 10, kernel)


def check(deconv, hardware, mapping):
    """Run a mapping: the numbers are the transposed convolution's, the counts are the model's."""
    ifmap, weights = operands(deconv)
    machine = Machine(deconv, hardware, mapping, ifmap, weights)
    for g, n in np.ndindex(deconv.groups, deconv.batch):
        assert np.array_equal(machine.ofmap[g, n], scatter(ifmap[g, n], weights[g], deconv.axes))
    cost = SharedProblem(deconv, hardware).evaluate(mapping)
    assert machine.counts == {name: getattr(cost.traffic, name) for name in machine.counts}
    assert machine.compute == cost.compute_cycles
    grid = deconv.batch, *(-(-axis.out // axis.stride) for axis in deconv.axes)
    ports = cost.array.ifmap, cost.array.weights, cost.array.ofmap_write, cost.array.ofmap_read
    assert ports == shared_ports(SubKernels(deconv).layers, hardware, mapping, grid)
    bits, partial = hardware.bits, mapping.in_channels < deconv.in_channels
    widths = {
        "ifmap": bits.ifmap,
        "weights": bits.weights,
        "ofmap": bits.partial_sums if partial else bits.ofmap,
    }
    unit = 8 * hardware.bank_bytes if hardware.bank_bytes else 1
    for name, words in machine.largest.items():
        need = -(-words * widths[name] * (2 if hardware.double_buffered else 1) // unit) * unit
        assert getattr(cost.footprint, name) == need


@st.composite
def deconvolutions(draw):
    axes = tuple(draw(strategies.transposed_axes(most=3)) for _ in range(draw(st.integers(1, 2))))
    numbers = st.integers(1, 3)
    deconv = Deconvolution(
        "d", draw(numbers), draw(numbers), axes, draw(st.integers(1, 2)), draw(st.integers(1, 2))
    )
    assume(SubKernels(deconv).layers)
    return deconv


@st.composite
def mappings(draw, deconv, hardware):
    """Any mapping: filters dealt to rounds at random, empty rounds left out."""
    kernels = len(SubKernels(deconv).layers)
    count = draw(st.integers(1, 4))
    rounds = np.zeros((kernels, count), dtype=int)
    for j in range(kernels):
        for r in draw(
            st.lists(st.integers(0, count - 1), min_size=deconv.out_channels, max_size=deconv.out_channels)
        ):
            rounds[j, r] += 1
    rounds = rounds[:, rounds.any(axis=0)]
    slides = [None]
    if hardware.halo is Halo.REUSE:
        slides += range(len(deconv.axes))
    return SharedMapping(
        draw(st.integers(1, deconv.in_channels)),
        draw(st.integers(1, deconv.batch)),
        tuple(draw(st.integers(1, -(-a.out // a.stride))) for a in deconv.axes),
        tuple(tuple(int(n) for n in row) for row in rounds),
        draw(st.sampled_from(tuple(Stationary))),
        draw(st.sampled_from(slides)),
    )


@given(st.data())
def test_every_mapping_computes_the_deconvolution_and_moves_what_is_counted(data):
    deconv = data.draw(deconvolutions())
    hardware = data.draw(strategies.hardware())
    mapping = data.draw(mappings(deconv, hardware))
    slide = mapping.sliding_axis
    if slide is not None and mapping.stationary is Stationary.OUTPUT:
        assume(mapping.in_channels == deconv.in_channels)  # nothing slides otherwise
    check(deconv, hardware, mapping)


def axis(in_size, kernel, stride=2, **rest):
    return TransposedAxis(in_size, kernel, stride, **rest)


CASES = {
    "kernel smaller than the stride": (axis(4, 2, 3),),
    "kernel 1": (axis(4, 1), axis(3, 1)),
    "odd kernel": (axis(4, 3, pad_lo=1, pad_hi=1, output_padding=1), axis(5, 5, pad_lo=2, pad_hi=2)),
    "even kernel": (axis(4, 4, pad_lo=1, pad_hi=1), axis(3, 2)),
    "padding beyond the kernel": (axis(6, 2, pad_lo=4, pad_hi=3),),
    "output padding": (axis(3, 3, 4, output_padding=3), axis(3, 3, pad_lo=1, pad_hi=1, output_padding=1)),
    "dilation 2 with stride 2": (axis(4, 3, dilation=2), axis(3, 3, dilation=2, pad_lo=1)),
    "dilation 2 with stride 2, first phases without taps": (axis(4, 3, dilation=2, pad_lo=1),),
    "dilation 3 with stride 2": (axis(4, 3, dilation=3, pad_lo=1),),
    "one pixel": (axis(1, 4), axis(1, 3)),
    "stride 1": (axis(5, 3, 1, pad_lo=1, pad_hi=1),),
    "three axes": (axis(2, 3, pad_lo=1, pad_hi=1, output_padding=1),) * 3,
    "stride 8, kernel 16": (axis(2, 16, 8, pad_lo=4, pad_hi=4),) * 2,
    "crop by negative padding": (axis(3, 3, pad_lo=-1, pad_hi=-2),),
}
SMALL = {"stride 8, kernel 16": (2, 2, 1, 1)}


@pytest.mark.parametrize("objective", [Kind.LATENCY, Kind.BALANCED])
@pytest.mark.parametrize("case", CASES)
def test_the_optimum_of_special_cases_runs(case, objective):
    co, ci, batch, groups = SMALL.get(case, (5, 3, 2, 2))
    deconv = Deconvolution("d", co, ci, CASES[case], batch, groups)
    hardware = Hardware(3, 2, 600, Fraction(3), double_buffered=objective is Kind.BALANCED, halo=Halo.REUSE)
    if case == "stride 8, kernel 16":
        hardware = Hardware(4, 2, 1500, Fraction(8))
    result = solve(SharedProblem(deconv, hardware, Objective(objective)))
    assert result.solution_status == "optimal"
    check(deconv, hardware, result.mapping)


def test_sixty_four_sub_kernels():
    deconv = Deconvolution("d", 3, 2, (axis(2, 16, 8, pad_lo=4, pad_hi=4),) * 2)
    kernels = SubKernels(deconv).layers
    assert len(kernels) == 64
    assert {layer.taps for layer in kernels} == {4}


def test_sub_kernels_without_taps_stand_outside():
    deconv = Deconvolution("d", 2, 2, (axis(3, 3, dilation=2), axis(3, 3)))
    kernels = SubKernels(deconv)
    assert (len(kernels.subs), len(kernels.layers)) == (4, 2)
    assert kernels.zero_words + kernels.ofmap_words == deconv.ofmap_words
    assert kernels.weight_words == deconv.weight_words
