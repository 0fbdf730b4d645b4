"""The classes of streamed tiles: which there are, when one is left out, and what their lists hold."""

from dataclasses import replace
from itertools import combinations_with_replacement
from math import inf

import numpy as np
import pytest

from dnns.axes import Axis
from dnns.layer import Layer
from formulation.cost import group_cycles
from formulation.extents import cut_tiles
from formulation.hardware import BitWidths, Fill, Halo, Hardware
from formulation.mapping import Group, Mapping, Stationary, Tile
from formulation.problem import Kind, Objective, Problem
from formulation.relaxed.streamed import StreamedRelaxation
from formulation.relaxed.streamed_presolve import StreamedPresolve
from formulation.relaxed.structure import SUB
from formulation.space.space import Space
from formulation.space.streamed import streamed_spaces
from tests.formulation.test_streamed_relaxation import FREE, is_of, sizes

LAYER = Layer("x", 6, 4, (Axis(5, 3, 1, 1, 0, 0, 7), Axis(4, 2, 1, 1, 0, 0, 5)), batch=2)
WIDTHS = BitWidths(5, 7, 11, 13)
MACHINE = Hardware(2, 3, 10**6, halo=Halo.REUSE, streaming=True, bits=WIDTHS)
PROBLEM = Problem(LAYER, MACHINE, Objective(Kind.BALANCED))
CO, CI, SP = Group


def cut_classes(problem):
    return [v for v in StreamedRelaxation(problem).variants(True) if v.structure.cut is not None]


def test_each_cut_has_the_classes_that_its_loop_order_and_slides_ask_for():
    along, plain = (0, 1), (None,)
    wanted = {
        # order, cut: slides of classes without and with partial sums; groups of one tile, likewise
        (Stationary.OUTPUT, CO): ((along, plain), ((), ())),
        (Stationary.WEIGHT, CO): ((along, along), ((), ())),
        (Stationary.WEIGHT, CI): ((plain, plain), ((), ((CO, SP),))),
        (Stationary.INPUT, CI): ((along, along), ((), ((CO, SP),))),
        (Stationary.INPUT, SP): ((along, along), (((CO,),), ((CO,),))),
    }
    classes = set()
    for (order, cut), (slides, ones) in wanted.items():
        for partial in (False, True):
            classes |= {(order, cut, partial, slide, None, ()) for slide in slides[partial]}
            for one in ones[partial]:
                every = slides[partial] if one == (CO,) else plain
                classes |= {(order, cut, partial, slide, None, one) for slide in every}
    for partial in (False, True):  # a streamed ifmap slides along the only axis that is cut
        axes = {(Stationary.OUTPUT, SP, partial, axis, axis, ()) for axis in along}
        classes |= {(Stationary.OUTPUT, SP, partial, None, None, ()), *axes}
    found = [
        (s.stationary, s.cut, s.partial_sums, v.slide, s.cut_axis, s.one)
        for v in cut_classes(PROBLEM)
        for s in (v.structure,)
    ]
    assert set(found) == classes
    assert len(found) == len(classes)


def test_where_a_single_dimension_is_cut_its_sub_tiles_are_smaller_than_its_tiles():
    for variant in cut_classes(PROBLEM):
        if len(variant.structure.subs) == 1:
            (sub,) = variant.structure.subs
            low, high = variant.tile_range(sub.removeprefix(SUB))
            assert low >= 2
            assert variant.tile_range(sub) == (1, high - 1)


def smallest(variant):
    """The mapping of the smallest tiles and sub-tiles of a class; not cut where these are the same."""
    size = {d: low for d, (low, _) in zip(variant.structure.dims, variant.tiles, strict=True)}
    tile, inner = (
        Tile(*(size.get(before + d, size[d]) for d in ("co", "ci", "batch")), spatial)
        for before in ("", SUB)
        for spatial in (tuple(size.get(f"{before}axis{i}", size[f"axis{i}"]) for i in range(2)),)
    )
    return Mapping(tile, variant.structure.stationary, None, None if inner == tile else inner)


PADDED = replace(LAYER, axes=(Axis(5, 3, 1, 1, 1, 1, 5), LAYER.axes[1]))


@pytest.mark.parametrize("layer", [LAYER, PADDED])
def test_a_class_is_left_out_once_its_smallest_tiles_do_not_fit(layer):
    """Of windows that are streamed the shortest may be at a border, which bounds the longest."""
    problem = replace(PROBLEM, layer=layer)
    for variant in cut_classes(problem):
        need, s = problem.evaluate(smallest(variant)).footprint.total, variant.structure
        assert variant in cut_classes(within(problem, -(-need // 8)))
        if layer is LAYER or (s.streamed, s.cut) != ("ifmap", SP):
            assert variant not in cut_classes(within(problem, (need - 1) // 8))


def test_a_part_of_a_class_is_not_left_out_where_some_of_its_mappings_fit():
    problem, sub = replace(PROBLEM, layer=PADDED), f"{SUB}axis0"
    for whole in cut_classes(problem):
        if sub in whole.structure.subs:
            for tile, size in combinations_with_replacement(range(1, 6), 2):
                variant = whole.restricted("axis0", size, size).restricted(sub, tile, tile)
                need = problem.evaluate(smallest(variant)).footprint.total
                assert StreamedRelaxation(within(problem, -(-need // 8)))._smallest_fits(variant)


def within(problem, size):
    return replace(problem, hardware=replace(MACHINE, buffer_bytes=size))


@pytest.mark.parametrize("fill", Fill)
def test_cycles_of_what_is_cut_are_by_pieces_whatever_the_tiles(fill):
    """Below those of each pair of sizes of a class, also where its tiles are few; of one piece exact."""
    problem = replace(PROBLEM, hardware=replace(MACHINE, fill=fill))
    relaxation, extents = StreamedRelaxation(problem), {CO: LAYER.out_channels, CI: LAYER.in_channels}
    for variant in cut_classes(problem):
        group = variant.structure.cut
        for tile in range(2, extents.get(group, 0) + 1):
            part = variant.restricted(group.value, tile, tile)
            for sub in range(1, tile):
                kinds, k = cut_tiles(extents[group], tile, sub), -(-extents[group] // sub)
                exact = group_cycles(LAYER, problem.hardware, group, sum(n for n, _ in kinds), kinds)
                under = relaxation._cycles_of(part, group)
                assert np.exp(under.log(np.log(k))) <= exact * (1 + 1e-9)
                assert np.exp(under.log(np.log(k))) >= k * (group in (CO, CI)) / (1 + 1e-9)


def listed():
    """The presolve with every class listed, nothing known that could shorten the lists."""
    space = Space(PROBLEM)
    presolve = StreamedPresolve(space, streamed_spaces(space), FREE)
    variants = cut_classes(PROBLEM)
    for variant in variants:
        presolve.reduce(variant, inf)
    return presolve, variants


def test_lists_hold_pairs_of_tiles_with_what_the_buffer_takes_of_them():
    presolve, variants = listed()
    for variant in variants:
        rest, space = presolve.lists[variant], presolve._space(variant)
        tiles = presolve._tiles(variant, rest)
        assert all(len(tile) == len((rest.co, rest.ci, rest.sp)[which]) for which, tile in tiles)
        for at in np.random.default_rng(0).integers(0, 1 << 30, (8, 3)):
            co, ci, sp = (int(n) % len(some) for n, some in zip(at, (rest.co, rest.ci, rest.sp), strict=True))
            slide = -1 if variant.slide is None else variant.slide
            order, rank = variant.structure.stationary, int(rest.sp.rank[sp])
            mapping = space.mapping(order, int(rest.co[co]), int(rest.ci[ci]), rank, slide)
            size, told = sizes(mapping), [int(tile[(co, ci, sp)[which]]) for which, tile in tiles]
            assert [size[d] for d in variant.structure.dims] == told
            channels = (
                presolve._of(variant, group, some[[place]])
                for group, some, place in ((CO, rest.co, co), (CI, rest.ci, ci))
            )
            held = presolve._held(variant, *channels, rest.sp.take(np.array([sp])))
            if is_of(variant, mapping):
                cost = PROBLEM.evaluate(mapping)
                parts = [int(part[0]) * MACHINE.copies for part in (held.ifmap, held.ofmap, held.weights)]
                assert parts == list(cost.footprint.parts)


def test_a_part_of_a_class_has_the_tiles_of_its_lists_that_are_in_all_its_ranges():
    presolve, variants = listed()
    for variant in variants:
        whole = presolve.lists[variant]
        tiles = presolve._tiles(variant, whole)
        for dim, (_, tile) in zip(variant.structure.dims, tiles, strict=True):
            least, _ = variant.tile_range(dim)
            part = variant.restricted(dim, least, max(least, int(np.median(tile))))
            presolve.cut(variant, part)
            inside = [np.ones(len(some), bool) for some in (whole.co, whole.ci, whole.sp)]
            for (which, each), (low, high) in zip(tiles, part.tiles, strict=True):
                inside[which] &= (low <= each) & (each <= high)
            rest = presolve.lists[part]
            assert [len(some) for some in (rest.co, rest.ci, rest.sp)] == [int(i.sum()) for i in inside]


def every(blocks):
    return np.ones(len(blocks), bool)


def test_what_fits_stays_beside_some_channels_where_nothing_is_known():
    presolve, variants = listed()
    for variant in variants:
        (blocks, *_) = presolve._space(variant).stages()[-1](every, every)
        kept = presolve._beside_channels({variant: presolve._channels(variant)}, blocks, inf)
        only = blocks.trips == 1 if SP in variant.structure.one else every(blocks)
        assert only.any()
        assert (kept == only).all()
