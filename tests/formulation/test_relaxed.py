"""The relaxation: below the exact cost everywhere, exact where it says so, with exact derivatives."""

from dataclasses import replace
from math import inf, isclose

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyomo.core.base import ConcreteModel, Constraint, Objective, Var
from pyomo.core.expr import exp

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.extents import full_axis_table
from formulation.hardware import BitWidths, Halo, Hardware
from formulation.mapping import Group, Mapping, Stationary
from formulation.pricing.price import Price
from formulation.problem import Kind, Problem
from formulation.problem import Objective as Goal
from formulation.relaxed.classes import Aim
from formulation.relaxed.layers import LayerRelaxation
from formulation.relaxed.least import least_price
from formulation.relaxed.loading import load
from formulation.relaxed.underestimates import (
    always_fetches,
    axis_underestimates,
    channel_cycles_underestimate,
    least_product,
    spatial_cycles_underestimate,
    underestimate,
)
from formulation.space.tables import SpatialGrid, channel_table
from solvers.backends import ipopt
from solvers.backends.posynomial import Form, NotConvexError
from solvers.bounds.bounding import Bounder, form
from solvers.bounds.dual import dual_bound, lowest
from solvers.result import Termination
from tests import strategies

FREE = Aim(Price.of(1.0, 1.0), Price.of(inf, inf))
LAYER = Layer("conv", 48, 24, (Axis(20, 3, 1, 1, 1, 1, 20), Axis(28, 5, 2, 1, 2, 2, 56)))


def below(under, trips, values):
    """Whether an under-estimate is at or below a table, up to rounding in the check itself."""
    return (np.exp(under.log(np.log(trips))) <= values * (1 + 1e-13)).all()


@given(strategies.axes(most=40), st.data())
def test_intervals_are_underestimated_at_every_tile(axis, data):
    smallest = data.draw(st.integers(1, axis.out))
    greatest = data.draw(st.integers(smallest, axis.out))
    table, found = full_axis_table(axis), axis_underestimates(axis, smallest, greatest)
    if not always_fetches(axis):
        return
    at = slice(smallest - 1, greatest)
    for name in ("fetched", "slid", "largest"):
        assert below(getattr(found, name), table.trips[at], getattr(table, name)[at]), name
    if smallest == greatest:  # a single tile is represented exactly
        log_trips = np.log(table.trips[at])
        for name in ("fetched", "slid", "largest"):
            under = getattr(found, name)
            assert isclose(float(np.exp(under.log(log_trips))[0]), getattr(table, name)[at][0], rel_tol=1e-9)


def test_the_published_counterexample_to_the_obvious_formula():
    """Out 5, kernel 5, padding 2: tiles of one output fetch 19 words, unclipped they would be 25."""
    axis = Axis(5, 5, 1, 1, 2, 2, 5)
    assert full_axis_table(axis).fetched[0] == 19
    assert float(np.exp(axis_underestimates(axis, 1, 5).fetched.log(np.log(5)))) <= 19


def test_plain_convolution_loses_nothing():
    """Away from borders the sum of intervals is a line in the trips, so the under-estimate is exact."""
    table = full_axis_table(LAYER.axes[0])
    found = axis_underestimates(LAYER.axes[0], 1, 20).fetched
    assert np.allclose(np.exp(found.log(np.log(table.trips))), table.fetched, rtol=1e-9)


@given(strategies.layers(most=12, channels=40), strategies.hardware(set_up=True))
def test_array_cycles_are_underestimated_at_every_tile(layer, machine):
    for group, extent in ((Group.CO, layer.out_channels), (Group.CI, layer.in_channels)):
        table = channel_table(layer, machine, group)
        under = channel_cycles_underestimate(layer, machine, group, 1, extent)
        assert below(under, table.trips, table.cycles)
    grid = SpatialGrid(layer, machine)
    table = grid.table([np.arange(n) for n in grid.shape])
    under = spatial_cycles_underestimate(layer, machine, tuple((1, n) for n in grid.shape))
    assert below(under, table.trips, grid.cycles(table))


@given(strategies.layers(most=12, channels=4), strategies.hardware(set_up=True))
def test_array_cycles_of_many_pixels_need_no_table(layer, machine):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("formulation.relaxed.underestimates._GRID", 0)
        spatial_cycles_underestimate.cache_clear()
        under = spatial_cycles_underestimate(layer, machine, ())
        spatial_cycles_underestimate.cache_clear()
    grid = SpatialGrid(layer, machine)
    table = grid.table([np.arange(n) for n in grid.shape])
    assert below(under, table.trips, grid.cycles(table))


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 10**6)), min_size=1), st.sampled_from((1, -1)))
def test_any_table_is_underestimated(points, power):
    trips, values = (np.array(column) for column in zip(*points, strict=True))
    assert below(underestimate(trips, values, power), trips, values)


@given(st.integers(1, 300), st.data())
def test_least_product_bounds_every_tile(extent, data):
    smallest = data.draw(st.integers(1, extent))
    greatest = data.draw(st.integers(smallest, extent))
    for tile in range(smallest, greatest + 1):
        assert least_product(extent, smallest, greatest) <= tile * -(-extent // tile)


def sizes(tile):
    return (tile.out_channels, tile.in_channels, tile.batch, *tile.spatial)


def relaxed_cost(relaxation, variant, tile):
    """Footprints [buffers], traffic [bits], latency [cycles] of a model fixed to the trips of a tile."""
    trips = {d: -(-n // t) for (d, n), t in zip(relaxation.extents.items(), sizes(tile), strict=True)}
    found = form(variant.structure)
    load(relaxation, found.model, variant, FREE)
    program = found.program()
    point = relaxation.lift(variant, trips)
    x = np.array([point.get(name, 0.0) for name in program.names])
    left = dict(zip(program.rows, program.constraints(x), strict=True))
    need = [left[f"footprint[{tensor}]"] for tensor in ("ifmap", "ofmap", "weights")]
    traffic = left["moved"]
    x[program.position("traffic")] = traffic
    latency = max(v for r, v in zip(program.rows, program.constraints(x), strict=True) if r in TIMES)
    return need, traffic * relaxation.compulsory_bits, latency * relaxation.roofline_cycles


TIMES = ("computed", "transferred")


@given(strategies.problems(set_up=True, most=9, channels=9), st.data())
def test_no_mapping_costs_less_than_all_its_relaxations(problem, data):
    """Each mapping has a model that is below it in footprint, traffic and latency."""
    mapping = data.draw(strategies.mappings(problem.layer, problem.hardware))
    cost = problem.evaluate(mapping)
    relaxation = LayerRelaxation(problem)
    partial = mapping.tile.in_channels < problem.layer.in_channels
    assume(problem.fits_at_all)
    variants = [v for v in relaxation.variants(True) if v.structure.partial_sums == partial]
    if not variants:
        assert not problem.is_feasible(cost)
        return
    costs = [relaxed_cost(relaxation, v, mapping.tile) for v in variants]
    whole = problem.hardware.buffer_bits
    for need, _, _ in costs:
        assert all(n * whole <= bits * (1 + 1e-9) for n, bits in zip(need, cost.footprint.parts, strict=True))
    assert any(
        traffic <= cost.traffic_bits * (1 + 1e-9) and latency <= float(cost.latency_cycles) * (1 + 1e-9)
        for _, traffic, latency in costs
    )


@given(strategies.problems(set_up=True, most=9, channels=9), st.data())
def test_a_model_of_one_tile_is_the_cost_module(problem, data):
    """Restricted to a single tile, a model gives the exact cost, where all groups take several trips."""
    mapping = data.draw(strategies.mappings(problem.layer, replace(problem.hardware, halo=Halo.REFETCH)))
    problem = replace(problem, hardware=replace(problem.hardware, bank_bytes=None), partition=None)
    tile, layer = mapping.tile, problem.layer
    assume(all(always_fetches(axis) for axis in layer.axes))
    several = tile.out_channels < layer.out_channels and tile.pixels < layer.pixels
    assume(several and (tile.in_channels < layer.in_channels or mapping.stationary is not Stationary.OUTPUT))
    relaxation = LayerRelaxation(problem)
    for variant in relaxation.variants(True):
        if variant.structure.stationary is not mapping.stationary:
            continue
        if variant.structure.partial_sums != (tile.in_channels < layer.in_channels):
            continue
        for dim, size in zip(relaxation.extents, sizes(tile), strict=True):
            variant = variant.restricted(dim, size, size)
        exact = problem.evaluate(Mapping(tile, mapping.stationary, variant.slide))
        need, traffic, latency = relaxed_cost(relaxation, variant, tile)
        assert isclose(traffic, exact.traffic_bits, rel_tol=1e-9)
        assert isclose(latency, float(exact.latency_cycles), rel_tol=1e-9)
        parts = [n * problem.hardware.buffer_bits for n in need]
        assert np.allclose(parts, exact.footprint.parts, rtol=1e-9)


def example_program(kind=Kind.BALANCED, **machine):
    problem = Problem(LAYER, Hardware(buffer_bytes=20_000, **machine), Goal(kind))
    relaxation = LayerRelaxation(problem)
    programs = []
    for variant in relaxation.variants(True):
        found = form(variant.structure)
        load(relaxation, found.model, variant, Aim(Price.of(0.3, 0.7), Price.of(100.0, 100.0)))
        programs.append(found.program())
    return programs


@pytest.mark.parametrize("double", [True, False])
def test_derivatives_against_finite_differences(double):
    bits = BitWidths(8, 16, 16, 32)
    rng = np.random.default_rng(1)
    for program in example_program(halo=Halo.REUSE, double_buffered=double, bits=bits):
        callbacks = ipopt._Callbacks(program)
        x = program.low + rng.uniform(0.2, 0.8, len(program.low)) * np.minimum(program.high - program.low, 5)
        rows, cols = callbacks.jacobianstructure()
        jacobian = np.zeros((len(program.rows), len(x)))
        jacobian[rows, cols] = callbacks.jacobian(x)
        weights = rng.uniform(0, 1, len(program.rows))
        low, high = callbacks.hessianstructure()
        hessian = np.zeros((len(x), len(x)))
        hessian[low, high] = callbacks.hessian(x, weights, 1.0)
        hessian = hessian + np.tril(hessian, -1).T
        step = 1e-6
        for j in range(len(x)):
            ahead, behind = x.copy(), x.copy()
            ahead[j] += step
            behind[j] -= step
            slope = (program.constraints(ahead) - program.constraints(behind)) / (2 * step)
            assert np.allclose(jacobian[:, j], slope, rtol=1e-6, atol=1e-6)
            curve = []
            for point in (ahead, behind):
                values = np.zeros_like(jacobian)
                values[rows, cols] = callbacks.jacobian(point)
                curve.append(weights @ values)
            assert np.allclose(hessian[:, j], (curve[0] - curve[1]) / (2 * step), rtol=1e-5, atol=1e-5)
        assert np.linalg.eigvalsh(hessian).min() >= -1e-9 * max(1.0, abs(hessian).max())


def test_derivatives_are_derived_once_per_structure():
    before = form.cache_info()
    for channels in (8, 16, 40, 72):
        layer = replace(LAYER, out_channels=channels, in_channels=channels // 2)
        bounder = Bounder(LayerRelaxation(Problem(layer)), True, None, 100)
        for variant in bounder.variants:
            bounder.program(variant, FREE)
    after = form.cache_info()
    assert after.misses - before.misses <= 5
    assert after.hits - before.hits >= 15


def test_any_multipliers_give_a_bound():
    rng = np.random.default_rng(2)
    for program in example_program():
        found = ipopt.BACKEND.solve(program, 0.5 * (program.low + np.minimum(program.high, 9)))
        assert found.termination is Termination.OPTIMAL
        optimum = float(program.cost @ found.x)
        tight = dual_bound(program, found.x, found.multipliers)
        assert isclose(tight, optimum, rel_tol=1e-4)
        for _ in range(50):
            noise = found.multipliers * rng.uniform(0, 2, len(found.multipliers))
            point = found.x + rng.normal(0, 0.3, len(found.x))
            assert dual_bound(program, point, noise) <= optimum * (1 + 1e-5)
            assert dual_bound(program, point, found.multipliers - 1) <= optimum * (1 + 1e-5)


def test_multipliers_bound_the_most_where_the_lagrangian_is_least():
    """Of any model, also of one that they are not of; no less than where they come from, never too much."""
    rng, programs = np.random.default_rng(3), example_program()
    sharper = 0
    for program in programs:
        found = ipopt.BACKEND.solve(program, 0.5 * (program.low + np.minimum(program.high, 9)))
        optimum = float(program.cost @ found.x)
        for other in programs:
            start = np.clip(found.x + rng.normal(0, 0.3, len(found.x)), other.low, other.high)
            known = dict(zip(program.rows, found.multipliers, strict=True))
            weights = np.array([known.get(row, 0.0) for row in other.rows])
            there, here = (dual_bound(other, x, weights) for x in (lowest(other, start, weights), start))
            assert there >= here - 1e-6 * abs(here)
            sharper += there > here + 0.1
            if other is program:
                assert isclose(there, optimum, rel_tol=1e-4)
                assert there <= optimum * (1 + 1e-5)
    assert sharper


@given(strategies.problems(set_up=True, most=9, channels=9), st.data())
def test_no_mapping_costs_less_than_the_least_of_its_class(problem, data):
    """A class that the mapping is no better than has, without a model, no more in any quantity."""
    problem = replace(problem, objective=Goal(Kind.ENERGY))
    mapping = data.draw(strategies.mappings(problem.layer, problem.hardware))
    cost, relaxation = problem.evaluate(mapping), LayerRelaxation(problem)
    assume(problem.is_feasible(cost))
    partial = mapping.tile.in_channels < problem.layer.in_channels
    found = zip(problem.price(cost), relaxation.least, strict=True)
    price = [float(value / least) * (1 + 1e-9) for value, least in found]
    prices = [
        least_price(relaxation, v) for v in relaxation.variants(True) if v.structure.partial_sums == partial
    ]
    assert any(all(a <= b for a, b in zip(least, price, strict=True)) for least in prices)


def test_a_number_that_is_not_finite_gives_no_bound():
    program = example_program()[0]
    assert dual_bound(program, program.low, np.full(len(program.rows), np.inf)) == -inf


def small_model(expression):
    m = ConcreteModel()
    m.x = Var(bounds=(0, 1))
    m.y = Var(bounds=(0, 1))
    m.objective = Objective(expr=m.x + m.y)
    m.c = Constraint(expr=expression(m) <= 0)
    return m


@pytest.mark.parametrize(
    "expression",
    [
        lambda m: m.x - exp(m.y),
        lambda m: m.x * m.y,
        lambda m: m.x * exp(m.y) - 1,
        lambda m: exp(exp(m.x)),
        lambda m: m.x**2,
    ],
)
def test_what_is_not_provably_convex_is_refused(expression):
    with pytest.raises(NotConvexError):
        Form(small_model(expression)).program()


def test_a_form_evaluates_as_its_model():
    program = Form(small_model(lambda m: 3 * exp(2 * m.x - m.y) / 4 + 2 * m.x - (m.y - 5))).program()
    value = program.constraints(np.array([0.5, 0.25]))[0]
    assert isclose(value, 0.75 * np.exp(0.75) + 1 - 0.25 + 5)
