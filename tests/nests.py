"""A reference that goes through *all* two-level loop nests of a small layer, wherever buffers are held.

Each dimension is cut into tiles of any size and these into sub-tiles of any size, those at the end smaller.
The loops over tiles come in any order, inside them the loops over sub-tiles in any order. The buffer of each
tensor is held at a level of its own: inside some of the loops, it has what the loops further inside touch.
That moves in each step of the loops around it, but for those next around it that the tensor is independent
of. Where the loop next around it goes on, the buffer keeps what it has already of an ifmap (``slides``).

Knows the ranges that are touched, and no formula of ``formulation``.
"""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from math import prod

OUT, IN = "co", "ci"
TENSORS = ("ifmap", "weights", "ofmap")
INDEPENDENT = {"ifmap": {OUT}, "weights": {"n", "x0", "x1"}, "ofmap": {IN, "k0", "k1"}}
"""Dimensions in which a tensor has no extent."""


@dataclass(frozen=True)
class Nests:
    """The nests of a layer of one group and at most two axes.

    Attributes:
        layer: what is run.
        slides: whether an ifmap tile keeps what it has where the loop next around it goes on.
        taps: whether kernels are cut as well: loops over taps.
    """

    layer: object
    slides: bool = True
    taps: bool = False

    @property
    def extents(self):
        """By dimension; x0, x1 are outputs, k0, k1 taps."""
        layer = self.layer
        found = {OUT: layer.out_channels, IN: layer.in_channels, "n": layer.batch}
        found |= {f"x{i}": axis.out for i, axis in enumerate(layer.axes)}
        return found | {f"k{i}": axis.kernel for i, axis in enumerate(layer.axes)}

    def sequences(self):
        """The loops of nests, outermost first, as pairs (dimension, size of its pieces).

        A nest whose loops are the first ones of another is left out: its buffers may be held in that one.
        """
        found = set()
        dims = [d for d, extent in self.extents.items() if extent > 1 and (self.taps or d[0] != "k")]
        for sizes in product(*(pairs(self.extents[d]) for d in dims)):
            outer = [(d, tile) for d, (tile, _) in zip(dims, sizes, strict=True) if tile < self.extents[d]]
            inner = [(d, sub) for d, (tile, sub) in zip(dims, sizes, strict=True) if sub < tile]
            found |= {(*a, *b) for a in permutations(outer) for b in permutations(inner)}
        return sorted(found)

    def front(self):
        """Points (held, words, loops) of nests that move less than all that hold no more."""
        option = cache(self.option)

        @cache
        def options(tensor, loops):
            """Of a tensor's buffer inside some of the first loops, or all."""
            own = option(tensor, moving(tensor, loops))
            return undominated((*options(tensor, loops[:-1]), own)) if loops else (own,)

        choices = {}
        for loops in self.sequences():
            choices.setdefault(tuple(options(tensor, loops) for tensor in TENSORS), loops)
        return best((choice, loops) for each, loops in choices.items() for choice in product(*each))

    def front_of_one_cut(self):
        """The same of nests of one tensor held further inside than the others, by loops of one group."""
        option = cache(self.option)
        dims = [d for d, extent in self.extents.items() if extent > 1 and d[0] != "k"]
        choices = {}
        for tile in product(*(range(1, self.extents[d] + 1) for d in dims)):
            outer = [(d, size) for d, size in zip(dims, tile, strict=True) if size < self.extents[d]]
            inner = {
                inside
                for group in ({OUT}, {IN}, INDEPENDENT["weights"])
                for inside in cuts(dims, tile, group)
            }
            for around, inside, tensor in product(permutations(outer), sorted(inner), TENSORS):
                levels = [(*around, *inside) if name == tensor else around for name in TENSORS]
                choice = tuple(option(t, moving(t, level)) for t, level in zip(TENSORS, levels, strict=True))
                choices.setdefault(choice, (*around, *inside))
        return best(choices.items())

    def option(self, tensor, around):
        """Most words that a tensor's buffer inside some loops has, and words moved.

        Ranges of different dimensions meet each other, so both are products of what the dimensions have.
        """
        ranges = {d: self.ranges(d, around) for d in self.extents}
        steps = prod(len(ranges[d]) for d in INDEPENDENT[tensor] if d in ranges)
        sides = [side(ranges[dim]) for dim in self.sides(tensor)]
        if tensor == "ifmap":
            sides += [
                windows(axis, ranges[f"x{i}"], ranges[f"k{i}"]) for i, axis in enumerate(self.layer.axes)
            ]
        largest, words = (prod(column) for column in zip(*sides, strict=True))
        if tensor == "ofmap":  # out in each step, and in before that in all but the first
            return largest, words * (2 * steps - 1)
        return largest, words * steps

    def ranges(self, dim, around):
        """Ranges of a dimension in some loops, and whether only the loop next to the buffer has gone on."""
        found = [(range(self.extents[dim]), False)]
        for place, (name, size) in enumerate(around):
            if name == dim:
                last = self.slides and place == len(around) - 1
                cut = [enumerate(chunks(whole, size)) for whole, _ in found]
                found = [(piece, last and i > 0) for each in cut for i, piece in each]
        return found

    def sides(self, tensor):
        """Dimensions of the layer along which a tensor has an extent of its own."""
        of = {"ifmap": ("n", IN), "weights": (OUT, IN, "k0", "k1"), "ofmap": ("n", OUT, "x0", "x1")}
        return [dim for dim in of[tensor] if dim in self.extents]


def best(nests):
    """Of nests, (held, words) of each tensor and the loops: the undominated points of their sums."""
    points = {}
    for choice, loops in nests:
        held, words = (sum(column) for column in zip(*choice, strict=True))
        if words < points.get(held, (words + 1,))[0]:
            points[held] = words, loops
    return undominated((held, *rest) for held, rest in points.items())


def cuts(dims, tile, group):
    """Loops that cut a tile into sub-tiles in some dimensions, in every order."""
    own = [(d, size) for d, size in zip(dims, tile, strict=True) if d in group]
    for sizes in product(*(range(1, size + 1) for _, size in own)):
        yield from permutations((d, sub) for (d, size), sub in zip(own, sizes, strict=True) if sub < size)


def moving(tensor, around):
    """Loops around a buffer, less those next around it that its tensor is independent of."""
    depth = len(around)
    while depth and around[depth - 1][0] in INDEPENDENT[tensor]:
        depth -= 1
    return around[:depth]


def side(ranges):
    """The longest of some ranges that share nothing, and the sum of all."""
    return max(len(r) for r, _ in ranges), sum(len(r) for r, _ in ranges)


def windows(axis, outputs, taps):
    """The longest ifmap interval of some outputs and taps, and what is new of all: one of them goes on."""
    longest = new = 0
    for others, going, along in ((taps, outputs, reach), (outputs, taps, lambda a, k, x: reach(a, x, k))):
        if going is taps and not any(on for _, on in taps):
            continue
        longest = new = 0
        for other, _ in others:
            before = range(0)
            for piece, on in going:
                window = along(axis, piece, other)
                longest = max(longest, len(window))
                new += len(window) - (len(overlap(before, window)) if on else 0)
                before = window
    return longest, new


def reach(axis, outputs, taps):
    """The stored inputs from the first to the last that some taps of some outputs read."""
    first = outputs[0] * axis.stride - axis.pad_lo + taps[0] * axis.dilation
    last = outputs[-1] * axis.stride - axis.pad_lo + taps[-1] * axis.dilation
    start = min(max(first, 0), axis.in_size)
    return range(start, max(start, min(last + 1, axis.in_size)))


def overlap(one, other):
    """What two ranges share."""
    return range(max(one.start, other.start), min(one.stop, other.stop))


def chunks(whole, size):
    """A range of places cut into ranges of at most ``size``."""
    return [range(start, min(start + size, whole.stop)) for start in range(whole.start, whole.stop, size)]


def pairs(extent):
    """Sizes of tiles and of their sub-tiles; tiles that are not cut further have one element."""
    return [(t, s) for t in range(1, extent + 1) for s in range(1, t + 1) if s < t or t == 1]


def undominated(points):
    """Points (held, words, ...) of which no other holds no more and moves no more, by what they hold."""
    found = []
    for point in sorted(set(points), key=lambda p: p[:2]):
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return tuple(found)
