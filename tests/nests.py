"""A reference that goes through *all* two-level loop nests of a small layer, wherever buffers are held.

Each dimension is cut into tiles of any size and these into sub-tiles of any size, those at the end smaller.
The loops over tiles come in any order, inside them the loops over sub-tiles in any order. Each tensor's buffer
is held at a level of its own: inside some of the loops, it has what the loops further inside touch, and that is
another in each step of a loop around it. Where the loop next around it goes on, what the buffer has already
is not fetched again (``slides``). Knows the sets that are touched and no formula of ``formulation``.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from math import prod

OUT, IN = "co", "ci"
TENSORS = ("ifmap", "weights", "ofmap")
INDEPENDENT = {"ifmap": {OUT}, "weights": {"n", "x0", "x1"}, "ofmap": {IN, "k0", "k1"}}
"""Dimensions in which a tensor has no extent."""


def chunks(outer, size):
    """A range of places cut into ranges of at most ``size``."""
    return [range(start, min(start + size, outer.stop)) for start in range(outer.start, outer.stop, size)]


@dataclass(frozen=True)
class Nests:
    """The nests of a layer of one group.

    Attributes:
        layer: what is run.
        slides: whether what a buffer has is not fetched again where the loop next around it goes on.
        taps: whether kernels are cut as well: loops over taps.
    """

    layer: object
    slides: bool = True
    taps: bool = False

    @property
    def extents(self):
        """By dimension; x0, x1 .. are outputs, k0, k1 .. taps."""
        layer = self.layer
        assert layer.groups == 1
        found = {OUT: layer.out_channels, IN: layer.in_channels, "n": layer.batch}
        found |= {f"x{i}": axis.out for i, axis in enumerate(layer.axes)}
        return found | {f"k{i}": axis.kernel for i, axis in enumerate(layer.axes)}

    def sequences(self):
        """The loops of nests, outermost first, as pairs (dimension, size of its pieces).

        A nest whose loops are the first ones of another is not there: all its buffers may be held in that one.
        """
        found = set()
        dims = [d for d, extent in self.extents.items() if extent > 1 and (self.taps or d[0] != "k")]
        for sizes in product(*(pairs(self.extents[d]) for d in dims)):
            outer = [(d, tile) for d, (tile, _) in zip(dims, sizes, strict=True) if tile < self.extents[d]]
            inner = [(d, sub) for d, (tile, sub) in zip(dims, sizes, strict=True) if sub < tile]
            found |= {(*a, *b) for a in permutations(outer) for b in permutations(inner)}
        return found

    def front(self):
        """Least words by words held: (held, words, loops) of nests that move less than all that hold no more."""
        option = cache(self.option)

        @cache
        def options(tensor, loops):
            """Of a tensor's buffer inside some of the first loops, or all."""
            own = option(tensor, moving(tensor, loops))
            return undominated((*options(tensor, loops[:-1]), own)) if loops else (own,)

        best = {}
        for loops in self.sequences():
            best.setdefault(tuple(options(tensor, loops) for tensor in TENSORS), loops)
        points = {}
        for each, loops in best.items():
            for choice in product(*each):
                held, words = (sum(column) for column in zip(*choice, strict=True))
                if words < points.get(held, (words + 1,))[0]:
                    points[held] = words, loops
        return undominated((held, *rest) for held, rest in points.items())

    def option(self, tensor, around):
        """Words that the largest content of a tensor's buffer has, and words moved, inside some loops."""
        largest = words = 0
        before, started = None, set()
        for place, next_around in self.places(around):
            box = self.box(tensor, place)
            size = prod(map(len, box))
            largest = max(largest, size)
            if tensor == "ofmap":
                if box != before or not next_around:
                    words += size + (size if box in started else 0)  # goes out once; comes in if it was there
                    started.add(box)
            elif self.slides and next_around and before is not None:
                words += size - prod(len(overlap(a, b)) for a, b in zip(before, box, strict=True))
            elif box != before or not next_around:
                words += size
            before = box
        return largest, words

    def places(self, around):
        """The ranges of all dimensions in each step of some loops, and whether only the last has gone on."""
        whole = {d: range(extent) for d, extent in self.extents.items()}

        def steps(place, depth):
            if depth == len(around):
                yield place, False
                return
            dim, size = around[depth]
            for i, part in enumerate(chunks(place[dim], size)):
                for inside, _ in steps(place | {dim: part}, depth + 1):
                    yield inside, i > 0 and depth == len(around) - 1

        return steps(whole, 0)

    def box(self, tensor, place):
        """What a tensor needs for some ranges, along each of its dimensions."""
        axes = range(len(self.layer.axes))
        if tensor == "weights":
            return (place[OUT], place[IN], *(place[f"k{i}"] for i in axes))
        if tensor == "ofmap":
            return (place["n"], place[OUT], *(place[f"x{i}"] for i in axes))
        spans = (reach(self.layer.axes[i], place[f"x{i}"], place[f"k{i}"]) for i in axes)
        return (place["n"], place[IN], *spans)


def moving(tensor, around):
    """Loops around a buffer, less those next around it that its tensor is independent of."""
    depth = len(around)
    while depth and around[depth - 1][0] in INDEPENDENT[tensor]:
        depth -= 1
    return around[:depth]


def overlap(one, other):
    """What two ranges share."""
    return range(max(one.start, other.start), max(min(one.stop, other.stop), max(one.start, other.start)))


def reach(axis, outputs, taps):
    """The stored inputs from the first to the last that some taps of some outputs read."""
    first = outputs.start * axis.stride - axis.pad_lo + taps.start * axis.dilation
    last = (outputs.stop - 1) * axis.stride - axis.pad_lo + (taps.stop - 1) * axis.dilation
    start = min(max(first, 0), axis.in_size)
    return range(start, max(start, min(last + 1, axis.in_size)))


def pairs(extent):
    """Sizes of tiles and of their sub-tiles; of tiles that are not cut those of one element do."""
    return [(t, s) for t in range(1, extent + 1) for s in range(1, t + 1) if s < t or t == 1]


def undominated(points):
    """Points (held, words, ...) of which no other holds no more and moves no more, in order of what they hold."""
    found = []
    for point in sorted(set(points), key=lambda p: p[:2]):
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return tuple(found)
