"""``python -m solvers.check FILE``: verify a certificate with the standard library and this file alone.

A claim (no mapping that fits, within the cap on latency, is below the bound) has a tree for each order of
loops and axis that slides, in preorder: ``d:t`` cuts a box of tile sizes along dimension d (output channels,
or rounds if ifmap tiles are shared; input channels; batch; axes) into tiles of at most t, and of more. The
rest are leaves: no mapping fits (``c``), is within the cap (``l``), or below the bound, as minima of trips,
words and cycles show (``m``), or dual multipliers (their name). docs/certificates.md has the arguments.
"""

import json
import re
import sys
from decimal import Context
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from math import ceil, floor, gcd, lcm, prod
from pathlib import Path
from typing import Any

FORMAT = "dnn-dataflow-certificate 3, tiles held whole"
ORDERS, OPS, FINE = ("weight", "input", "output"), ("conv", "deconv"), 10**12
RATIO, CUT = re.compile("[0-9]{1,400}(/0*[1-9][0-9]{0,400})?"), re.compile("([0-9]):([0-9]{1,8})")
FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
log = cache(lambda number: int(FINE * Context(60).ln(number)) - 1)  # below it by less than 2, in 1 / FINE


class Unproven(Exception):
    """A claim is not proven, and why. What is no certificate raises one of ``FOREIGN``."""


def numbers(data: Any, names: Any, ratio: bool = False) -> list[Any]:
    """Fields that are integers from 1, or fractions p/q."""
    found = [data[name] for name in (names.split() if type(names) is str else names)]
    if not all(RATIO.fullmatch(x) if ratio else type(x) is int and 0 < x < 10**7 for x in found):
        raise ValueError(f"{names}: got {found}, allowed: {'fractions p/q' if ratio else 'integers from 1'}")
    return [Fraction(x) if ratio else x for x in found]


def dot(these: Any, those: Any) -> Any:
    """Sum of products."""
    return sum(a * b for a, b in zip(these, those, strict=True))


def phases(axis: Any) -> Any:
    """The outputs of a transposed axis by residue, each a convolution; of no taps where none reaches them."""
    size, kernel, stride, dilation, lo = *numbers(axis, "in kernel stride dilation"), axis["pad_lo"]
    out = (size - 1) * stride - lo - axis["pad_hi"] + dilation * (kernel - 1) + axis["output_padding"] + 1
    for r in range(lo, lo + min(stride, *numbers([out], [0]))):
        at = sorted(x // stride for x in range(r, r - dilation * kernel, -dilation) if x % stride == 0)
        yield -((r - lo - out) // stride), len(at), 1, dilation // gcd(dilation, stride), size, -[*at, 0][0]


def axis_rows(parts: Any) -> Any:
    """Per tile size: trips, words fetched, slid, longest interval (the hull of what the parts need), size."""
    for t in range(1, parts[0][0] + 1):
        hulls = [(0, 0)]
        for at in range(0, parts[0][0], t):
            needs = [(p, at * p[2] - p[5], (min(at + t, p[0]) - 1) * p[2] - p[5]) for p in parts if at < p[0]]
            spans = [(max(0, lo), min(p[4], hi + p[3] * (p[1] - 1) + 1)) for p, lo, hi in needs if p[1]]
            spans = [(lo, hi) for lo, hi in spans if lo < hi] or [(0, 0)]
            hulls.append((min(lo for lo, _ in spans), max(hi for _, hi in spans)))
        words = [hi - lo for lo, hi in hulls]
        twice = sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairwise(hulls))
        yield len(hulls) - 1, sum(words), sum(words) - twice, max(words), t


class Model:
    """A layer, a kernel of a deconvolution, or all of them, on one machine: what mappings and boxes cost."""

    def __init__(self, entry: Any, part: Any = ()) -> None:
        layer, machine, goal, parts = (entry[k] for k in ("layer", "machine", "objective", "partition"))
        self.co, self.ci, batch, self.groups = numbers(layer, "out_channels in_channels batch groups")
        r, c = numbers(machine, "rows cols")
        self.bits = numbers(machine["bits"], "ifmap weights ofmap partial_sums")
        deconv, axes, names = OPS.index(layer["op"]), layer["axes"], "out kernel stride dilation in"
        axes = [list(phases(a)) if deconv else [(*numbers(a, names), a["pad_lo"])] for a in axes]
        self.shared, axes = deconv > len(part), [[p] for p in part] or [[(batch, 1, 1, 1, batch, 0)], *axes]
        kernels = self.kernels = [k for k in product(*axes) if all(a[1] for a in k)]
        self.sides = {"output": (c, 0, r), "weight": (c, r, 0), "input": (0, r, c)}[machine["dataflow"]]
        self.double = (False, True).index(machine["double_buffered"])
        self.sliding = range(1, len(axes)) if ("refetch", "reuse").index(machine["halo"]) else [0]
        self.fill = (r + c - 2) * ("overlapped", "exposed").index(machine["fill"])
        self.bank = 1 if machine["bank_bytes"] is None else 8 * numbers(machine, "bank_bytes")[0]
        whole = 8 * machine["buffer_bytes"] // self.bank * self.bank
        self.room = [whole] if parts is None else [parts[k] for k in ("ifmap", "ofmap", "weights")]
        numbers([1 + self.bits[3] - self.bits[2]], [0])  # partial sums are no narrower than the ofmap
        self.outs = [tuple(a[0] for a in k) for k in kernels]
        self.taps, self.pixels = [prod(a[1] for a in k) for k in kernels], list(map(prod, self.outs))
        dims = [list(self.channels(self.co, [1], 0)), list(self.channels(self.ci, self.taps, 1))]
        if self.shared:  # rounds of no size
            dims[0] = [(r, 0, 0, *dims[0][-1][3:]) for r in range(1, self.co * len(kernels) + 1)]
        dims += [list(axis_rows(a)) for a in axes]
        self.minima = cache(lambda d, lo, hi: list(map(min, zip(*dims[d][lo - 1 : hi], strict=True))))
        self.whole, self.by_sp, self.dims = [(1, len(rows)) for rows in dims], cache(self.spatial), dims
        self.tolerance = numbers(goal, "tolerance", True) if "tolerance" in goal else []
        cycle, byte, pj = numbers(goal["weights"], "cycle byte pj", True)
        rate, clock = numbers(machine, "bandwidth frequency", True)
        mac, sram, dram, static = (pj * x for x in numbers(machine["energy"], "mac sram dram static", True))
        self.per_cycle, self.per_bit = (8 * rate / clock).as_integer_ratio()  # ticks
        self.setup = self.per_cycle * (numbers([1 + machine["transfer_setup"]], [0])[0] - 1)
        zeros = prod(sum(p[0] for p in a) for a in axes) - sum(self.pixels)
        zeros *= self.groups * self.co * self.bits[2]
        self.zeros = zeros * self.per_bit + self.setup * (prod(map(len, axes)) - len(kernels)), zeros
        macs = self.groups * self.co * self.ci * dot(self.taps, self.pixels)
        taps = cache(lambda a: [y * a[2] + t * a[3] - a[5] for y in range(a[0]) for t in range(a[1])])
        self.reads = [self.ci * prod(sum(0 <= x < a[4] for x in taps(a)) for a in k) for k in kernels]
        self.worth = [(cycle + static / clock) / self.per_cycle, byte / 8 + sram + dram, sram, mac * macs]

    def factor(self, side: int, n: int, tiles: Any) -> tuple[int, int]:
        """A group's factor of the cycles (side 0: it streams), and how often the rest enters the array."""
        cycles = sum(count * (-(-size // side) if side else size) for count, size in tiles)
        return (cycles, cycles) if side else (cycles + n * self.fill, n)

    def channels(self, extent: int, words: Any, group: int) -> Any:
        """Per tile size: trips, size, transfers of a partial sum, ``factor`` for each number of words."""
        for t in range(1, extent + 1):
            n, side = -(-extent // t), self.sides[group]
            tiles = ([(n - 1, t * w), (1, (extent - (n - 1) * t) * w)] for w in words)
            yield n, t, 2 * n - 1, *(x for each in tiles for x in self.factor(side, n, each))

    def spatial(self, outs: Any, box: Any) -> list[int]:
        """``factor`` of outputs: tile by tile if few, else ``sum ceil(p / side) >= ceil(sum p / side)``."""
        sizes = [[(t, t) for t in range(lo, hi + 1)] for lo, hi in box]
        if 1 < prod(map(len, sizes)) <= 16:
            return min(self.by_sp(outs, tile) for tile in product(*sizes))
        kinds = [((out // hi, hi), (1, out % hi)) for out, (_, hi) in zip(outs, box, strict=True)]
        tiles = [list(map(prod, zip(*kind, strict=True))) for kind in product(*kinds)]
        trips = sum(n for n, size in tiles if size)
        cycles = self.factor(self.sides[2], trips, tiles if max(map(len, sizes)) == 1 else [(1, prod(outs))])
        return [max(x, trips) for x in cycles]

    def costs(self, way: Any, box: Any, rounds: Any = (), point: Any = None) -> list[Any]:
        """At least, or at a point: ticks of array, bus; bits moved, at the array, held (I, O, W)."""
        low, (wide_i, wide_w, wide_o, wide_p) = [self.minima(d, *b) for d, b in enumerate(box)], self.bits
        many, stays = (low[0][0] > 1, low[1][0] > 1, any(a[0] > 1 for a in low[2:])), ORDERS.index(way[0])
        (n_co, co, _, *by_co), (n_ci, ci, twice, *by_ci), *axes = point or low
        slid = prod(a[1 + (i == way[1] and not (stays == 2 and many[1]))] for i, a in enumerate(axes))
        n_sp, largest, size = (prod(a[c] for a in axes) for c in (0, 3, 4))
        read = n_co if stays != 1 and (many[2] or (stays == 2 and many[1])) else 1  # ci, co | sp; co, sp | ci
        again = n_sp if stays and many[stays - 1] else 1  # ci, sp | co; co, sp | ci
        twice = twice if stays < 2 and (many[0] or many[2]) else 1
        by_sp = [x for outs in self.outs for x in self.by_sp(outs, tuple(box[2:]))]
        words, most, more, by_co = co * self.taps[0], co * size, 0, by_co * len(self.outs)
        if self.shared:
            held = [prod(map(min, outs, (lo for lo, _ in box[2:]))) for outs in self.outs]
            words, most = (max(*w, -(-self.co * sum(w) // box[0][1])) for w in (self.taps, held))
            more = max(0, low[0][0] - len(held) * low[0][4]) * (1 if self.sides[0] else self.fill)
        if rounds:
            filled, more = ([(1, x) for x in row if x] for row in rounds), 0
            by_co = [x for row in filled for x in self.factor(self.sides[0], len(row), row)]
            words, most = (max(dot(r, w) for r in zip(*rounds, strict=True)) for w in (self.taps, held))
        array = sum(map(prod, zip(by_co[::2], by_ci[::2], by_sp[::2], strict=True)))
        array += more * min(a * b for a, b in zip(low[1][3::2], by_sp[::2], strict=True))
        moved = self.ci * (wide_i * slid * read + self.co * wide_w * sum(self.taps) * again)
        moved += self.co * sum(self.pixels) * (wide_o - wide_p + wide_p * twice)
        ports = self.co * dot(self.pixels, [wide_o + 2 * wide_p * (n - 1) for n in by_ci[1::2]])
        ports += self.ci * self.co * wide_w * dot(self.taps, by_sp[1::2])
        ports += wide_i * dot(self.reads, by_co[1::2])
        tiles = wide_i * ci * largest, (wide_p if many[1] else wide_o) * most, wide_w * ci * words
        bus = n_co * n_ci * again + n_ci * n_sp * read + n_co * n_sp * twice  # transfers
        bus = self.groups * (moved * self.per_bit + bus * self.setup)
        array *= self.groups * self.per_cycle
        array += sum(tiles) * self.per_bit + 3 * self.setup if self.double else bus
        return [array, bus, self.groups * moved, self.groups * ports, *((1 + self.double) * x for x in tiles)]

    def least(self, way: Any, box: Any, rounds: Any = ()) -> tuple[Any, ...]:
        """Whether it may fit; at least: latency [ticks], traffic, bits at the array."""
        array, bus, moved, ports, *held = self.costs(way, box, rounds)
        need = [-(-bits // self.bank) * self.bank for bits in held]
        fits = all(n <= r for n, r in zip(need if self.room[1:] else [sum(need)], self.room, strict=True))
        return fits, max(array, bus), moved, ports

    def price(self, mapping: Any) -> list[Any]:
        """Latency [ticks], traffic and bits at the array of a mapping, exactly."""
        tile, rounds = mapping["tile"], mapping["rounds"] if self.shared else []
        if self.shared:
            dealt = [sum(row) for row in rounds] == [self.co] * len(self.taps) and min(map(min, rounds)) >= 0
            tile = [len(rounds[0]) * (dealt and all(map(any, zip(*rounds, strict=True)))), *tile]
        good = all(type(t) is int and 1 <= t <= d for t, (_, d) in zip(tile, self.whole, strict=True))
        if good and mapping["slide"] in (0, *self.sliding):
            way, box = (mapping["stationary"], mapping["slide"]), [(t, t) for t in tile]
            fits, *costs = self.least(way, box, rounds)
            if fits:
                return costs
        raise Unproven("its mapping is none of this layer and machine, or does not fit the buffer")


class Claim:
    """No mapping that fits, within the cap, has less than the bound: of the latency, or of the objective."""

    def __init__(self, model: Model, bound: Fraction, cap: Any, latency: bool, duals: dict[str, Any]) -> None:
        worth: Any = [Fraction(1, model.per_cycle), 0, 0, 0] if latency else model.worth
        *self.worth, self.fixed = worth
        self.grain = Fraction(1, lcm(*(w.denominator for w in self.worth)))  # values are multiples of it
        self.bound = ceil((bound - self.fixed) / self.grain) * self.grain
        self.model, self.cap, self.duals = model, cap, duals

    def look(self, way: Any, box: Any) -> tuple[list[str], Fraction]:
        """The reasons for which a box has no better mapping, and the least value of its mappings."""
        fits, *costs = self.model.least(way, box)
        late, value = self.cap is not None and costs[0] > self.cap, dot(self.worth, costs)
        return [*"c" * (not fits), *"l" * late, *"m" * (value >= self.bound)], value

    def dual(self, way: Any, box: Any, name: str) -> bool:
        """Whether multipliers bound a box: above its tangent in the columns' logarithms is the Lagrangian."""
        late, bus, *rooms = numbers(self.duals[name], "late bus ifmap ofmap weights", True)
        prices, model = [self.worth[0] + late - bus, bus, *self.worth[1:], *rooms], self.model
        rows = [numbers(row, range(len(row)), True) for row in map(str.split, self.duals[name]["point"])]
        spent = late * (self.cap or 0) + dot(rooms if model.room[1:] else [max(rooms)], model.room)
        value = dot(prices, model.costs(way, box, (), rows))
        total, good = FINE * (value - spent - self.bound + self.grain), self.cap is not None or not late
        for d, row in enumerate(rows):
            less = ([*rows[:d], [*row[:c], 0, *row[c + 1 :]], *rows[d + 1 :]] for c in range(len(row)))
            steps = [value - dot(prices, model.costs(way, box, (), point)) for point in less]
            good &= steps == numbers(self.duals[name]["coefficients"][d].split(), range(len(row)), True)
            scale = lcm(*(step.denominator for step in steps))
            picks = [(int(scale * step), c) for c, step in enumerate(steps) if step]
            logs = sum(s * (log(row[c].numerator) + 2 - log(row[c].denominator)) for s, c in picks)
            sizes = model.dims[d][box[d][0] - 1 : box[d][1]]
            total += Fraction(min(sum(s * log(x[c]) for s, c in picks) for x in sizes) - logs, scale)
        return good and prices[0] >= 0 and total > 0

    def verify(self, way: Any, tree: str, what: str) -> int:
        """How many leaves a tree has; raises Unproven unless each is excluded."""
        boxes, leaves = [self.model.whole], 0
        for token in [*tree.split(), "the end"]:
            box, cut = boxes.pop() if boxes else [], CUT.fullmatch(token)
            reasons = self.look(way, box)[0] if box and not cut else []
            if cut and (d := int(cut[1])) < len(box) and box[d][0] <= (at := int(cut[2])) < box[d][1]:
                boxes += [[*box[:d], half, *box[d + 1 :]] for half in ((at + 1, box[d][1]), (box[d][0], at))]
            elif token in reasons or (box and token in self.duals and self.dual(way, box, token)):
                leaves += 1
            elif box or token != "the end":
                tiles = " x ".join(f"{lo}..{hi}" for lo, hi in box) or "none left"
                raise Unproven(f"{what}: leaf {leaves + 1} ({token:.9}, tiles {tiles}) is not excluded")
        return leaves


def proven(model: Model, entry: Any, rival: Any = (), aside: int = 0) -> tuple[Any, ...]:
    """Costs of a mapping, bound, least latency known, cap over it and rivals' with ``aside``, leaves."""
    costs, fastest = (entry.get(x) and model.price(entry[x]) for x in ("mapping", "fastest"))
    known, leaves = [*rival, *(fastest or [])[:1]], 0
    caps = [floor((min(known) + aside) * (1 + t) * (1 + Fraction(1, FINE))) - aside for t in model.tolerance]
    for i, (proof, cap) in enumerate(zip(entry["claims"], [None, *caps], strict=True)):
        claim = Claim(model, numbers(proof, "bound", True)[0], cap, i < len(caps), proof["duals"])
        for way in product(ORDERS, model.sliding):
            leaves += claim.verify(way, proof["trees"]["{} {}".format(*way)], f"claim {i + 1}, {way[0]}")
    return costs, claim.bound + claim.fixed, min(known, default=0), cap, leaves


def verified(entry: Any) -> str:
    """What is proven of a layer; raises Unproven."""
    model = Model(entry)
    if not model.shared:
        costs, bound, _, cap, leaves = proven(model, entry)
    else:
        kernels = {kernel: model.kernels.count(kernel) for kernel in model.kernels}
        apart = [proven(Model(entry, k), part) for k, part in zip(kernels, entry["parts"], strict=True)]
        (prices, bounds, least, _, more), n = zip(*apart, strict=True), list(kernels.values())
        costs, bound, _, cap, leaves = proven(model, entry["shared"], [dot(n, least)], model.zeros[0])
        costs = [dot(n, each) for each in zip(*prices, strict=True)] if entry["choice"] == "split" else costs
        bound, leaves = min(bound, dot(n, bounds)), leaves + sum(more)
    if cap is not None and costs[0] > cap:
        raise Unproven("its mapping is slower than the cap")
    value, bound = (x + dot(model.worth[:2], model.zeros) for x in (dot(model.worth, (*costs, 1)), bound))
    if [value] != numbers(entry, "value", True):
        raise Unproven(f"its mapping has {value}, not {entry['value']}")
    told = f"{entry['objective']['kind']} {float(value):,.9g}, bound {float(bound):,.9g}"
    return f"{told}, gap {float(1 - bound / value):.2%}, {leaves:,} leaves"


def check(text: str) -> Any:
    """Each layer's name, what is proven or why it is not, and whether it is; raises ``FOREIGN``."""
    data = json.loads(text, parse_float=str)
    if type(data) is not dict or data.get("format") != FORMAT or not {"layers", "left_out"} <= {*data}:
        raise ValueError("another format, or not all of it")
    for entry in data["layers"]:
        try:
            yield entry["name"], verified(entry), True
        except Unproven as error:
            yield entry["name"], f"NOT PROVEN: {error}", False
        except FOREIGN as error:
            raise ValueError(f"{entry['name']}: a field is missing or not allowed: {error}") from error
    yield from ((left["name"], f"nothing is claimed: {left['reason']}", True) for left in data["left_out"])


def main(files: list[str]) -> int:
    """Check a file; returns the exit code: 0 all is proven, 1 some claim is not, 2 it is no certificate."""
    try:
        found = list(check(Path(*files).read_text("utf-8")))
    except (OSError, *FOREIGN) as error:
        print(f"{' '.join(files)}: {getattr(error, 'strerror', error)}; allowed: a {FORMAT}", file=sys.stderr)
        return 2
    print("".join(f"{name}: {text}\n" for name, text, _ in found), end="")
    return int(not all(good for *_, good in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
