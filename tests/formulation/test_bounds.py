"""Bounds for every schedule: the counts behind them, and no mapping of any problem below them."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import isclose, sqrt

from hypothesis import assume, given
from hypothesis import strategies as st

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.bounds import compulsory_bits, least_communication_bits, least_traffic_bits, roofline_ticks
from formulation.deconv import Treatment
from formulation.hardware import BitWidths, Hardware
from formulation.problem import Kind, Objective, Problem
from solvers.layers import exhaustive
from tests import strategies
from tests.strategies import examples
from tests.walkers.walker import Walk


def reads(axis):
    """The in-range input position of every pair of an output and a tap."""
    pairs = product(range(axis.out), range(axis.kernel))
    at = [y * axis.stride + t * axis.dilation - axis.pad_lo for y, t in pairs]
    return [p for p in at if 0 <= p < axis.in_size]


@given(strategies.axes())
@examples(300)
def test_pairs_and_reuse_of_an_axis(axis):
    found = reads(axis)
    assert axis.pairs == len(found)
    assert axis.touched == len(set(found))
    assert axis.reuse >= max((found.count(p) for p in found), default=0)


def test_the_reuse_is_reached_where_dilation_and_stride_share_a_factor():
    axis = Axis(9, kernel=3, stride=2, dilation=2, pad_lo=2, pad_hi=2, in_size=17)
    assert axis.reuse == max(reads(axis).count(p) for p in range(17)) == 3


@given(strategies.transposed_axes())
@examples(200)
def test_pairs_of_a_transposed_axis(axis):
    taps = product(range(axis.in_size), range(axis.kernel))
    outs = [x * axis.stride + t * axis.dilation - axis.pad_lo for x, t in taps]
    assert axis.pairs == sum(0 <= y < axis.out for y in outs)


@given(st.data())
@examples(300)
def test_no_walk_of_a_mapping_that_fits_moves_less(data):
    layer, machine = data.draw(strategies.layers(6)), data.draw(strategies.hardware(set_up=True))
    machine = replace(machine, rows=1, cols=1, buffer_bytes=data.draw(st.integers(8, 400)), bank_bytes=None)
    mapping = data.draw(strategies.mappings(layer, machine))
    problem = Problem(layer, machine)
    assume(problem.is_feasible(problem.evaluate(mapping)))
    walk, width = Walk(layer, machine, mapping), machine.bits
    moved = walk.ifmap * width.ifmap + walk.weights * width.weights
    moved += layer.ofmap_words * width.ofmap
    moved += (walk.writes - layer.ofmap_words + walk.reads) * width.partial_sums
    assert least_communication_bits(layer, machine) <= moved
    assert compulsory_bits(layer, machine) <= moved


@given(strategies.problems(set_up=True))
@examples(200)
def test_no_optimum_is_below(problem):
    assume(problem.fits_at_all)
    problem = replace(problem, objective=Objective(Kind.TRAFFIC))
    cost = exhaustive.solve(problem).cost
    assert least_traffic_bits(problem.layer, problem.hardware) <= cost.traffic_bits


def test_a_matrix_product_needs_what_is_published():
    """Smith et al. 2019: ``2 m n k / sqrt(S) - 2 S`` words, reads and writes together."""
    size, machine = 4096, Hardware(rows=1, cols=1, buffer_bytes=65536)
    layer = Layer("gemm", size, size, (Axis(size, in_size=size),))
    memory = 65536 // 2 + 3
    words = least_communication_bits(layer, machine) / 16
    assert words >= 2 * size**3 / sqrt(memory) - 2 * memory
    assert isclose(words, 2 * size**3 / sqrt(memory), rel_tol=1e-3)


def test_it_is_counted_at_the_narrowest_width_by_group():
    narrow = Hardware(bits=BitWidths(8, 4, 8, 32), buffer_bytes=4096)
    layer = Layer("conv", 64, 64, (Axis(64, in_size=64),) * 2, groups=3)
    one = replace(layer, groups=1)
    assert least_communication_bits(layer, narrow) == 3 * least_communication_bits(one, narrow) > 0
    assert least_communication_bits(layer, narrow) % 4 == 0


@given(strategies.transposed_axes(), st.integers(1, 4), st.integers(1, 4), st.sampled_from(Treatment))
@examples(60)
def test_no_deconvolution_is_below(axis, out_channels, in_channels, treatment):
    from dnns.layer import Deconvolution
    from formulation.deconv import naive, split

    machine = Hardware(rows=2, cols=2, buffer_bytes=200)
    deconv = Deconvolution("d", out_channels, in_channels, (axis,))
    layers = [naive(deconv)] if treatment is Treatment.NAIVE else [s.layer for s in split(deconv) if s.layer]
    problems = [Problem(layer, machine, Objective(Kind.TRAFFIC)) for layer in layers]
    assume(problems and all(problem.fits_at_all for problem in problems))
    moved = sum(exhaustive.solve(problem).cost.traffic_bits for problem in problems)
    assert least_communication_bits(deconv, machine) <= moved


def test_the_roofline_is_of_all_elements_of_an_array_that_is_not_square():
    layer = Layer("l", 8, 8, (Axis(10, 3, 1, 1, 1, 1, 10),))
    machine = Hardware(rows=3, cols=5, bandwidth=Fraction(1000))
    assert Fraction(roofline_ticks(layer, machine)) / machine.tick.per_cycle == Fraction(
        8 * 8 * 3 * 10, 3 * 5
    )
