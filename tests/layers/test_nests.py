"""The streamed optimum against all two-level loop nests, with each tensor's buffer held anywhere."""

from itertools import product
from random import Random

import pytest

from benchmarks.nests import convolution, matrix_product, ours
from dnns.axes import Axis
from dnns.layer import Layer
from formulation.hardware import Halo
from tests.nests import INDEPENDENT, TENSORS, Nests, chunks, moving, reach

HALO = {True: Halo.REUSE, False: Halo.REFETCH}


def steps(nests, around):
    """The ranges of all dimensions in each step of some loops, and whether only the last loop has gone on."""

    def inside(place, depth):
        if depth == len(around):
            yield place, False
            return
        dim, size = around[depth]
        for i, part in enumerate(chunks(place[dim], size)):
            for there, goes_on in inside(place | {dim: part}, depth + 1):
                yield there, i > 0 if depth == len(around) - 1 else goes_on

    return inside({dim: range(extent) for dim, extent in nests.extents.items()}, 0)


def touched(nests, tensor, place):
    """Coordinates of a tensor that some ranges touch, an ifmap's with what lies between."""
    axes = range(len(nests.layer.axes))
    if tensor == "weights":
        return set(product(place["co"], place["ci"], *(place[f"k{i}"] for i in axes)))
    if tensor == "ofmap":
        return set(product(place["n"], place["co"], *(place[f"x{i}"] for i in axes)))
    spans = (reach(nests.layer.axes[i], place[f"x{i}"], place[f"k{i}"]) for i in axes)
    return set(product(place["n"], place["ci"], *spans))


def walked(nests, tensor, around):
    """Most words held and words moved of a buffer inside some loops, coordinate by coordinate."""
    largest = words = 0
    before, written = set(), set()
    for place, goes_on in steps(nests, around):
        now = touched(nests, tensor, place)
        largest = max(largest, len(now))
        kept = before if tensor == "ifmap" and nests.slides and goes_on else set()
        words += len(now - kept)
        if tensor == "ofmap":
            words += len(now & written)
            written |= now
        before = now
    return largest, words


@pytest.mark.parametrize("axes", [1, 2])
def test_what_nests_move_is_what_a_walk_of_sets_counts(axes):
    random = Random(axes)
    for _ in range(60):
        nests = Nests(convolution(random, 4, axes), random.random() < 0.7, taps=True)
        left, around = dict(nests.extents), []
        for dim in random.choices(list(left), k=random.randint(0, 5)):
            size = random.randint(1, left[dim])
            around += [(dim, size)] if size < left[dim] else []
            left[dim] = min(left[dim], size)
        for tensor in TENSORS:
            loops = moving(tensor, tuple(around))
            assert nests.option(tensor, loops) == walked(nests, tensor, loops)
            assert all(dim in INDEPENDENT[tensor] for dim, _ in around[len(loops) :])


def some(random, front):
    """Two points of a front at most: each takes a search."""
    return random.sample(front, min(2, len(front)))


def test_no_nest_of_a_matrix_product_moves_less():
    random = Random(0)
    for _ in range(50):
        layer = matrix_product(random, 4)
        for held, words, loops in some(random, Nests(layer).front()):
            assert ours(layer, held, Halo.REUSE) <= words, (layer, held, loops)


def test_no_nest_with_one_tensor_in_part_moves_less():
    """Of one axis, along which tiles slide; docs/streaming.md has what is different without."""
    random = Random(1)
    for _ in range(120):
        layer = convolution(random, 4)
        for held, words, loops in some(random, Nests(layer).front_of_one_cut()):
            assert ours(layer, held, Halo.REUSE) <= words, (layer, held, loops)


def conv(out_channels, in_channels, *axes):
    """Of axes of outputs, kernel, stride; without padding."""
    own = (Axis(out, kernel, stride, 1, 0, 0, (out - 1) * stride + kernel) for out, kernel, stride in axes)
    return Layer("x", out_channels, in_channels, tuple(own))


#: The smallest layers of docs/streaming.md: words held, and moved by the best nest and by ours.
BEATEN = [
    (conv(1, 2, (2, 1, 1), (2, 2, 1)), True, False, 8, 20, 24),
    (conv(2, 3, (3, 3, 2)), True, False, 14, 63, 66),
    (conv(2, 1, (4, 3, 2)), False, False, 12, 24, 26),
    (conv(2, 1, (5, 3, 1)), False, False, 8, 38, 39),
    (conv(1, 2, (2, 2, 1)), True, True, 5, 12, 16),
]


@pytest.mark.parametrize(("layer", "slides", "taps", "held", "least", "found"), BEATEN)
def test_the_smallest_examples_that_move_less(layer, slides, taps, held, least, found):
    points = {point[0]: point[1] for point in Nests(layer, slides, taps).front()}
    assert points[held] == least
    assert ours(layer, held, HALO[slides]) == found
