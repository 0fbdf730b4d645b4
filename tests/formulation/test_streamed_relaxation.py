"""The relaxation of streamed tiles: below every mapping, whatever is cut."""

from dataclasses import replace
from math import inf, isclose

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from formulation.mapping import Group, Stationary
from formulation.pricing.cuts import cut_table, least_fetched, least_largest
from formulation.pricing.price import Price
from formulation.relaxed.classes import Aim
from formulation.relaxed.loading import load
from formulation.relaxed.streamed import StreamedRelaxation
from formulation.relaxed.structure import SUB
from formulation.relaxed.underestimates import always_fetches, sub_axis_underestimates
from solvers.bounds.bounding import form
from tests import strategies
from tests.strategies import examples

FREE = Aim(Price.of(1.0, 1.0, 1.0), Price.of(inf, inf, inf))
LESS = 1 + 1e-9


@examples(60)
@given(strategies.axes(most=14))
def test_sub_tiles_are_underestimated_in_every_tile(axis):
    pairs = np.array([(t, s) for t in range(1, axis.out + 1) for s in range(1, t + 1)])
    table, sub = cut_table(axis, *pairs.T), pairs[:, 1]
    pieces = sum(count for count, _ in table.kinds)
    for n, w in zip(pieces, table.fetched, strict=True):
        assert (least_fetched(axis)[:n] <= w).all()
    assert (least_largest(axis)[sub - 1] <= table.largest).all()
    assert (np.diff(least_largest(axis)) >= 0).all()
    if always_fetches(axis):
        under, trips = sub_axis_underestimates(axis, 1, axis.out), -(-axis.out // sub)
        assert (np.exp(under.fetched.log(np.log(trips))) <= table.fetched * LESS).all()
        assert (np.exp(under.largest.log(np.log(trips))) <= table.largest * LESS).all()


def sizes(mapping):
    """Extents of tile and sub-tile by the names that a structure has for them."""
    found = {}
    for before, tile in (("", mapping.tile), (SUB, mapping.inner or mapping.tile)):
        axes = {f"{before}axis{i}": size for i, size in enumerate(tile.spatial)}
        channels = {f"{before}co": tile.out_channels, f"{before}ci": tile.in_channels}
        found |= channels | {f"{before}batch": tile.batch} | axes
    return found


def relaxed_cost(relaxation, variant, mapping):
    """Footprints and traffic [bits], latency [cycles], energy [quanta] of a model at a mapping's trips."""
    size = sizes(mapping)
    dims = variant.structure.dims
    trips = {d: -(-n // size[d]) for d, n in zip(dims, variant.extents, strict=True)}
    found = form(variant.structure)
    load(relaxation, found.model, variant, FREE)
    program = found.program()
    point = relaxation.lift(variant, trips)
    x = np.array([point.get(name, 0.0) for name in program.names])
    left = dict(zip(program.rows, program.constraints(x), strict=True))
    assert all(v <= 1e-9 for row, v in left.items() if row.startswith("within"))
    whole = relaxation.problem.hardware.buffer_bits
    need = [left[f"footprint[{tensor}]"] * whole for tensor in ("ifmap", "ofmap", "weights")]
    traffic = x[program.position("traffic")] = left["moved"]
    rows = dict(zip(program.rows, program.constraints(x), strict=True))
    latency = x[program.position("latency")] = max(rows.get("computed", 0), rows.get("transferred", 0))
    spent = dict(zip(program.rows, program.constraints(x), strict=True)).get("spends", 0.0)
    least = relaxation.least
    cycles = latency * relaxation.roofline_cycles
    return need, traffic * relaxation.compulsory_bits, cycles, spent * float(least.spent)


def is_below(problem, relaxed, cost):
    need, *rest = relaxed
    exact = *cost.footprint.parts, cost.traffic_bits, float(cost.latency_cycles), problem.price(cost).spent
    return all(n <= e * LESS for n, e in zip([*need, *rest], exact, strict=True))


def of_whole_tiles(problem, mapping):
    """Mappings of whole tiles, of at most the sub-tile's output channels."""
    order = Stationary.INPUT if mapping.stationary is Stationary.WEIGHT else Stationary.WEIGHT
    for size in range(1, mapping.inner.out_channels + 1):
        tile = replace(mapping.tile, out_channels=size)
        yield problem.evaluate(replace(mapping, stationary=order, tile=tile, inner=None))


def no_worse(machine, one, other):
    pairs = zip(one.footprint.parts, other.footprint.parts, strict=True)
    less = one.traffic_bits <= other.traffic_bits, one.latency_ticks <= other.latency_ticks
    less += (one.energy_pj(machine) <= other.energy_pj(machine),)
    return all(a <= b for a, b in pairs) and all(less)


@examples(60)
@given(strategies.problems(most=9, channels=9), st.data())
def test_no_streamed_mapping_costs_less_than_all_its_relaxations(problem, data):
    """Each has a model of its cut that is below it in all that counts, or whole tiles that are no worse."""
    problem = replace(problem, hardware=replace(problem.hardware, streaming=True))
    mapping, layer = data.draw(strategies.streamed_mappings(problem.layer, problem.hardware)), problem.layer
    assume(mapping.inner is not None)
    for group, name in ((Group.CO, "out_channels"), (Group.CI, "in_channels")):
        if mapping.cut is not group and data.draw(st.booleans()):  # in one tile, where it moves less
            whole = {name: getattr(layer, name)}
            pair = replace(mapping.tile, **whole), replace(mapping.inner, **whole)
            mapping = replace(mapping, tile=pair[0], inner=pair[1])
    cost = problem.evaluate(mapping)
    if not problem.is_feasible(cost):
        machine = replace(problem.hardware, buffer_bytes=10**6, bank_bytes=None)
        problem = replace(problem, hardware=machine, partition=None)
        cost = problem.evaluate(mapping)
    tile, partial = mapping.tile, mapping.tile.in_channels < layer.in_channels
    refetched = partial and mapping.stationary is Stationary.OUTPUT
    if mapping.cut is Group.CO and tile.pixels == layer.pixels and not refetched:
        assert any(no_worse(problem.hardware, whole, cost) for whole in of_whole_tiles(problem, mapping))
        return
    relaxation = StreamedRelaxation(problem)
    variants = [
        v
        for v in relaxation.variants(True)
        if (v.structure.stationary, v.structure.cut) == (mapping.stationary, mapping.cut)
        if v.structure.partial_sums == partial and is_of(v, mapping)
    ]
    assert any(is_below(problem, relaxed_cost(relaxation, v, mapping), cost) for v in variants)


def is_of(variant, mapping):
    """Whether a mapping's sizes are within a class."""
    size, s = sizes(mapping), variant.structure
    subs = [d for d in size if d.startswith(SUB) and d not in s.subs]
    uncut = all(size[d] == size[d.removeprefix(SUB)] for d in subs)
    ranges = zip(s.dims, variant.tiles, strict=True)
    return uncut and all(low <= size[d] <= high for d, (low, high) in ranges)


@examples(20)
@given(strategies.problems(most=9, channels=9), st.data())
def test_what_is_held_of_a_tile_that_divides_is_exact(problem, data):
    """Where sizes divide the extents, channels that are cut lose nothing in the model."""
    machine = replace(problem.hardware, streaming=True, bank_bytes=None)
    problem = replace(problem, hardware=machine, partition=None)
    mapping = data.draw(strategies.streamed_mappings(problem.layer, machine))
    layer, cost = problem.layer, problem.evaluate(mapping)
    assume(mapping.cut in (Group.CO, Group.CI) and all(always_fetches(a) for a in layer.axes))
    size = sizes(mapping)
    relaxation = StreamedRelaxation(problem)
    for v in relaxation.variants(True):
        s = v.structure
        if (s.stationary, s.cut) != (mapping.stationary, mapping.cut) or not is_of(v, mapping):
            continue
        if any(n % size[d] for d, n in zip(s.dims, v.extents, strict=True)):
            continue
        for dim in s.dims:
            v = v.restricted(dim, size[dim], size[dim])
        need, *_ = relaxed_cost(relaxation, v, mapping)
        if s.partial_sums == (mapping.tile.in_channels < layer.in_channels):
            assert all(isclose(n, e, rel_tol=1e-9) for n, e in zip(need, cost.footprint.parts, strict=True))
