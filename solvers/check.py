"""``python -m solvers.check FILE``: verify a certificate with the standard library and this file alone.

A certificate has, for every layer, its sizes, a mapping, and for each claim (no mapping that fits, with a
latency within the cap, is below the bound) a tree for each order of loops. A tree cuts the box of all tile
sizes, in preorder: ``d:t`` cuts along dimension d (0 output channels, 1 input channels, 2 batch, 3.. spatial
axes) into tiles of at most t, and of more; a letter is a leaf. Boxes are made here, by cutting, so leaves
cover the map space whatever a file says. All mappings of a leaf take more than the buffer or its given parts
(``c``), have a latency above the cap (``l``), or have at least the bound (``m``).

A box is bounded by quantities each at its own minimum over the box: trips, words of intervals, largest
intervals, cycles of a group of loops, from exact tables with one entry a tile size. The rest grows with each:
passes are ``1 + (n - 1) [m > 1]``, words and cycles sums of products, a latency a maximum or a sum, a
footprint a rounded sum. So the formulas at the minima are at most those at any mapping of the box, and exact
for a single tile. All sliding axes are tried. Costs are stated here once more, in integers.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import floor, prod
from typing import Any

FORMAT = "dnn-dataflow-certificate 1, tiles held whole"
CLASSES = ("weight", "input", "output")
CHANNELS, BITS = ("out_channels", "in_channels", "batch"), ("ifmap", "weights", "ofmap", "partial_sums")
AXIS = ("out", "kernel", "stride", "dilation", "pad_lo", "pad_hi", "in")
SIZE, ANY = range(1, 10**7), range(-(10**15), 10**15)
RATIO = re.compile("[0-9]{1,400}(/0*[1-9][0-9]{0,400})?")
CUT = re.compile("([0-9]):([0-9]{1,8})")
FEW = 16  # tiles of a box whose array passes are counted one by one
Box = Sequence[tuple[int, int]]


class Unproven(Exception):
    """A claim is not proven, and why."""


class Malformed(Exception):
    """It is no certificate, and why."""


def read(data: Any, key: str, kind: Any) -> Any:
    """A field of a type, of a range of integers, out of some words, or a ``RATIO``; raises Malformed."""
    value = data.get(key, read) if type(data) is dict else read
    if isinstance(kind, re.Pattern):
        good = type(value) is str and kind.fullmatch(value) is not None
    elif isinstance(kind, range):
        good = type(value) is int and value in kind
    else:
        good = value in kind if isinstance(kind, tuple) and type(value) is str else type(value) is kind
    if not good:
        raise Malformed(f"{key} is {'missing' if value is read else repr(value)[:40] + ', not allowed'}")
    return value


@lru_cache(maxsize=4096)
def axis_columns(axis: tuple[int, ...]) -> tuple[list[int], ...]:
    """Per tile size 1..out: trips, words fetched, words slid, longest interval, size."""
    out, kernel, stride, dilation, pad, _, top = axis
    reach = dilation * (kernel - 1) + 1
    rows = []
    for t in range(1, out + 1):
        fetched = slid = longest = seen = 0
        for first in range(0, out, t):
            lo = max(0, first * stride - pad)
            hi = min(top, (min(first + t, out) - 1) * stride - pad + reach)
            fetched += max(0, hi - lo)
            slid += max(0, hi - max(lo, seen))
            longest, seen = max(longest, hi - lo), max(seen, hi)
        rows.append((-(-out // t), fetched, slid, longest, t))
    return tuple(map(list, zip(*rows, strict=True)))


class Dimension:
    """The minima of a dimension's columns over intervals of tile sizes."""

    def __init__(self, columns: Sequence[list[int]]) -> None:
        self.columns, self.extent = columns, len(columns[0])
        self.known: dict[tuple[int, int], tuple[int, ...]] = {}

    def least(self, lo: int, hi: int) -> tuple[int, ...]:
        """The minimum of each column over tiles lo..hi."""
        if (lo, hi) not in self.known:
            self.known[lo, hi] = tuple(min(column[lo - 1 : hi]) for column in self.columns)
        return self.known[lo, hi]


class Model:
    """One layer on one machine: what mappings, and boxes of them, cost at least."""

    def __init__(self, entry: dict[str, Any]) -> None:
        layer, machine = read(entry, "layer", dict), read(entry, "machine", dict)
        self.co, self.ci, self.batch, self.groups = (read(layer, k, SIZE) for k in (*CHANNELS, "groups"))
        axes = read(layer, "axes", list)
        self.axes = [tuple(read(a, k, ANY if "pad" in k else SIZE) for k in AXIS) for a in axes]
        self.rows, self.cols = (read(machine, k, SIZE) for k in ("rows", "cols"))
        self.flow = read(machine, "dataflow", ("output", "weight", "input"))
        self.double = read(machine, "double_buffered", bool)
        self.reuse = read(machine, "halo", ("refetch", "reuse")) == "reuse"
        self.fill = (
            read(machine, "fill", ("overlapped", "exposed")) == "exposed" and self.rows + self.cols - 2
        )
        self.bits = [read(read(machine, "bits", dict), k, SIZE) for k in BITS]
        self.bank = 8 * read(machine, "bank_bytes", SIZE) if machine.get("bank_bytes", 0) is not None else 1
        self.buffer = 8 * read(machine, "buffer_bytes", ANY) // self.bank * self.bank
        free, parts = entry.get("partition", 0) is None, ("ifmap", "ofmap", "weights")
        self.partition = None if free else [read(read(entry, "partition", dict), k, ANY) for k in parts]
        rate, clock = (Fraction(read(machine, k, RATIO)) for k in ("bandwidth", "frequency"))
        if not rate or not clock or not 1 <= len(axes) <= 3 or self.bits[3] < self.bits[2]:
            raise Malformed("bandwidth or frequency is 0, partial_sums narrow, or axes are not one to three")
        rate *= 8 / clock
        self.per_cycle, self.per_bit = rate.numerator, rate.denominator  # ticks
        self.taps, self.pixels = prod(a[1] for a in self.axes), self.batch * prod(a[0] for a in self.axes)
        axes = [(self.batch, 1, 1, 1, 0, 0, self.batch), *self.axes]
        columns = [self.channels(self.co, "co"), self.channels(self.ci, "ci"), *map(axis_columns, axes)]
        self.dims = [Dimension(c) for c in columns]
        self.side = {"output": self.rows, "input": self.cols, "weight": 0}[self.flow]
        self.passes: dict[tuple[int, ...], int] = {}

    def channels(self, extent: int, group: str) -> tuple[list[int], ...]:
        """Per tile size: trips, the group's factor of the cycles, size."""
        words, width = (self.taps, self.rows) if group == "ci" else (1, self.cols)
        if (self.flow, group) in (("output", "ci"), ("input", "co")):
            width = 0  # it streams
        trips = [-(-extent // t) for t in range(1, extent + 1)]
        cycles = [extent * words + n * self.fill for n in trips]
        if width:
            full = [(n - 1) * -(-t * words // width) for t, n in enumerate(trips, 1)]
            rest = ((extent - (n - 1) * t) * words for t, n in enumerate(trips, 1))
            cycles = [f - (-r // width) for f, r in zip(full, rest, strict=True)]
        return trips, cycles, list(range(1, extent + 1))

    def spatial_cycles(self, box: Box, trips: int) -> int:
        """Its group's factor of the cycles: ``sum ceil(p/side) >= max(ceil(sum p / side), trips)``."""
        if not self.side:
            return int(self.pixels + trips * self.fill)
        if prod(hi - lo + 1 for lo, hi in box) > FEW:
            return max(int(-(-self.pixels // self.side)), trips)
        return min(map(self.array_passes, product(*(range(lo, hi + 1) for lo, hi in box))))

    def array_passes(self, tile: tuple[int, ...]) -> int:
        """Sum over the tiles of one size of ceil(pixels / side)."""
        if tile not in self.passes:
            kinds = [(1, 1)]
            for t, dim in zip(tile, self.dims[2:], strict=True):
                full, rest = divmod(dim.extent, t)
                kinds = [(c * n, p * x) for c, p in kinds for n, x in ((full, t), (1, rest)) if n * x]
            self.passes[tile] = sum(c * -(-p // self.side) for c, p in kinds)
        return self.passes[tile]

    def least(self, order: str, box: Box, slides: Sequence[int] | None = None) -> tuple[list[int], int, int]:
        """Lower bounds of a box: parts of the buffer (I, O, W) [bits], latency [ticks], traffic [bits]."""
        n_co, cycles_co, co = self.dims[0].least(*box[0])
        n_ci, cycles_ci, ci = self.dims[1].least(*box[1])
        rows = [d.least(*b) for d, b in zip(self.dims[2:], box[2:], strict=True)]
        n_sp, fetched, _, largest, pixels = map(prod, zip(*rows, strict=True))
        slides = (range(len(self.axes)) if self.reuse else ()) if slides is None else slides
        slid = min([fetched, *(prod(r[1 + (i == a + 1)] for i, r in enumerate(rows)) for a in slides)])
        stays, inner = CLASSES.index(order), (n_co > 1, n_ci > 1, n_sp > 1)
        passes_ci = n_ci if stays < 2 and (inner[0] or inner[2]) else 1  # ci, co | sp and ci, sp | co
        passes_co = n_co if stays != 1 and (inner[2] or (stays == 2 and inner[1])) else 1
        passes_sp = n_sp if stays != 0 and inner[stays - 1] else 1
        slid = fetched if stays == 2 and inner[1] else slid
        wide_i, wide_w, wide_o, wide_p = self.bits
        traffic = self.ci * slid * passes_co * wide_i + self.co * self.ci * self.taps * passes_sp * wide_w
        traffic += self.co * self.pixels * (wide_o + 2 * (passes_ci - 1) * wide_p)
        traffic *= self.groups
        ofmap_tile = co * pixels * (wide_p if n_ci > 1 else wide_o)
        tiles = ci * largest * wide_i, ofmap_tile, co * ci * self.taps * wide_w
        need = [-(-(1 + self.double) * t // self.bank) * self.bank for t in tiles]
        compute = self.groups * cycles_co * cycles_ci * self.spatial_cycles(box[2:], n_sp)
        transfer = traffic * self.per_bit
        array = compute * self.per_cycle + self.double * sum(tiles) * self.per_bit
        return need, max(array, transfer) if self.double else array + transfer, traffic

    def fits(self, need: list[int]) -> bool:
        """Whether parts fit the buffer, or those of the given partition."""
        if self.partition is None:
            return sum(need) <= int(self.buffer)
        return all(n <= p for n, p in zip(need, self.partition, strict=True))

    def price(self, mapping: dict[str, Any]) -> tuple[int, int]:
        """Latency [ticks] and traffic [bits] of a mapping, exactly; raises Unproven if it does not fit."""
        tile, order = read(mapping, "tile", dict), read(mapping, "stationary", CLASSES)
        sizes = [*(read(tile, k, SIZE) for k in CHANNELS), *read(tile, "spatial", list)]
        inside = [type(t) is int and 1 <= t <= d.extent for t, d in zip(sizes, self.dims, strict=False)]
        axis, axes = mapping.get("sliding_axis"), range(len(self.axes) if self.reuse else 0)
        slides = axis is None or (type(axis) is int and axis in axes)
        if len(sizes) != len(self.dims) or not all(inside) or not slides:
            raise Unproven("its mapping is none of this layer and machine")
        need, latency, traffic = self.least(order, [(t, t) for t in sizes], () if axis is None else (axis,))
        if not self.fits(need):
            raise Unproven("its mapping does not fit the buffer")
        return latency, traffic


class Claim:
    """No mapping that fits, within the cap, has less than the bound."""

    def __init__(self, model: Model, latency: bool, bound: Fraction, cap: int | None) -> None:
        self.model, self.latency, self.cap = model, latency, cap
        self.bound = -floor(-bound * (model.per_cycle if latency else 8))  # in whole ticks or bits

    def excludes(self, order: str, box: Box) -> str:
        """The reasons for which a box has no better mapping."""
        need, latency, traffic = self.model.least(order, box)
        reasons = "" if self.model.fits(need) else "c"
        if self.cap is not None and latency > self.cap:
            reasons += "l"
        return reasons + ("m" if (latency if self.latency else traffic) >= self.bound else "")

    def verify(self, order: str, tree: str) -> int:
        """How many leaves a tree has; raises Unproven unless each is excluded."""
        boxes, leaves = [[(1, d.extent) for d in self.model.dims]], 0
        for token in tree.split():
            if not boxes:
                raise Unproven("the tree goes on after its last leaf")
            box, cut = boxes.pop(), CUT.fullmatch(token)
            if cut is None:
                leaves += 1
                if token not in ("c", "l", "m") or token not in self.excludes(order, box):
                    sizes = " x ".join(f"{lo}..{hi}" for lo, hi in box)
                    raise Unproven(f"leaf {leaves} ({token:.9}, tiles {sizes}) is not excluded")
                continue
            d, at = map(int, cut.groups())
            if d >= len(box) or not box[d][0] <= at < box[d][1]:
                raise Unproven(f"cut {token} after leaf {leaves} is outside the box")
            right = list(box)
            box[d], right[d] = (box[d][0], at), (at + 1, box[d][1])
            boxes += [right, box]
        if boxes:
            raise Unproven(f"the tree ends after leaf {leaves}, {len(boxes)} boxes are not covered")
        return leaves


def verified(entry: dict[str, Any]) -> str:
    """What is proven of a layer; raises Unproven."""
    model, objective, proofs = Model(entry), read(entry, "objective", dict), read(entry, "claims", list)
    latency, traffic = model.price(read(entry, "mapping", dict))
    kind = read(objective, "kind", ("latency", "traffic", "balanced"))
    bounds, cap, leaves = [Fraction(read(proof, "bound", RATIO)) for proof in proofs], None, 0
    if len(proofs) != 1 + (kind == "balanced"):
        raise Unproven("its claims are not those of its objective")
    if kind == "balanced":
        best = model.price(read(entry, "fastest", dict))[0]
        cap = floor(best * (1 + Fraction(read(objective, "tolerance", RATIO))) * (1 + Fraction(1, 10**12)))
        if latency > cap or bounds[0] > Fraction(best, model.per_cycle):
            raise Unproven("its mapping is slower than the cap, or the fastest is faster than its bound")
    value = Fraction(latency, model.per_cycle) if kind == "latency" else Fraction(traffic, 8)
    if value != Fraction(read(entry, "value", RATIO)) or bounds[-1] > value:
        raise Unproven(f"its mapping has {value}, not {entry['value']}, or less than the bound {bounds[-1]}")
    claims = [Claim(model, kind != "traffic", bounds[0], None), Claim(model, False, bounds[-1], cap)]
    for i, (claim, proof) in enumerate(zip(claims, proofs, strict=False), 1):
        for order in CLASSES:
            try:
                leaves += claim.verify(order, read(read(proof, "trees", dict), order, str))
            except Unproven as error:
                raise Unproven(f"claim {i}, {order}: {error}") from None
    gap = float(1 - bounds[-1] / value)
    return f"{kind} {float(value):,.9g}, bound {float(bounds[-1]):,.9g}, gap {gap:.2%}, {leaves:,} leaves"


def check(text: str) -> Iterator[tuple[str, str, bool]]:
    """Each layer's name, what is proven or why it is not, and whether it is; raises Malformed."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error}") from None
    read(data, "format", (FORMAT,))
    for entry in read(data, "layers", list):
        name = read(entry, "name", str)
        try:
            yield name, verified(entry), True
        except Unproven as error:
            yield name, str(error), False
    for left in read(data, "left_out", list):
        yield read(left, "name", str), f"nothing is claimed: {read(left, 'reason', str)}", True


def main(files: Sequence[str]) -> int:
    """Check a file; returns the exit code: 0 all is proven, 1 some claim is not, 2 it is no certificate."""
    try:
        if len(files) != 1:
            raise Malformed("give one file: python -m solvers.check FILE")
        with open(files[0], encoding="utf-8") as stream:
            found = list(check(stream.read()))
    except (OSError, UnicodeDecodeError, Malformed) as error:
        print(f"{' '.join(files)}: {error}", file=sys.stderr)
        return 2
    for name, text, proven in found:
        print(f"{name}: {'' if proven else 'NOT PROVEN: '}{text}")
    return int(not all(proven for _, _, proven in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
