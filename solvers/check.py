"""``python -m solvers.check FILE``: verify a certificate with the standard library and this file alone.

A claim (no mapping that fits, within the cap on latency, is below the bound) has a tree for each order of
loops, and axis that slides if some may, in preorder: ``d:t`` cuts a box of tile sizes along dimension d
(output, input channels, batch, axes) into tiles of at most t, and of more. Else it is a leaf, whose mappings
do not fit (``c``), exceed the cap (``l``), or have at least the bound: as their costs are above those at
minima of trips, words and cycles (``m``), or by dual multipliers (``d`` and their number). With shared ifmap
tiles dimension 0 is the number of rounds that hold the filters of all kernels: R rounds take R passes,
``ceil(co / side)`` of each kernel, and the fullest holds the mean and one filter, at least.
"""

import json
import re
import sys
from decimal import Context
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from math import floor, gcd, lcm, prod
from pathlib import Path
from typing import Any

FORMAT = "dnn-dataflow-certificate 3, tiles held whole"
ORDERS, OPS, WAYS, FINE = ("weight", "input", "output"), ("conv", "deconv"), ("split", "combine"), 10**12
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
    size, kernel, stride, dilation = numbers(axis, "in kernel stride dilation")
    shift = axis["pad_lo"]
    out = (size - 1) * stride - shift - axis["pad_hi"] + dilation * (kernel - 1) + axis["output_padding"] + 1
    for r in range(min(stride, *numbers([out], [0]))):
        reach = range(r + shift, r + shift - dilation * kernel, -dilation)
        at = sorted(x // stride for x in reach if x % stride == 0)
        yield -((r - out) // stride), len(at), 1, dilation // gcd(dilation, stride), size, -[*at, 0][0]


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
        rows, cols = numbers(machine, "rows cols")
        self.bits = numbers(machine["bits"], "ifmap weights ofmap partial_sums")
        deconv, axes, names = OPS.index(layer["op"]), layer["axes"], "out kernel stride dilation in"
        axes = [list(phases(a)) if deconv else [(*numbers(a, names), a["pad_lo"])] for a in axes]
        self.shared, axes = deconv > len(part), [[p] for p in part] or [[(batch, 1, 1, 1, batch, 0)], *axes]
        kernels = self.kernels = [k for k in product(*axes) if all(a[1] for a in k)]
        sides = {"output": (cols, 0, rows), "weight": (cols, rows, 0), "input": (0, rows, cols)}
        self.sides = sides[machine["dataflow"]]  # of output channels, input channels, pixels; 0 streams
        self.double = (False, True).index(machine["double_buffered"])
        self.sliding = range(1, len(axes)) if ("refetch", "reuse").index(machine["halo"]) else [0]
        self.fill = (rows + cols - 2) * ("overlapped", "exposed").index(machine["fill"])
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
        logs = cache(lambda d, picks: [sum(s * log(row[c]) for s, c in picks) for row in dims[d]])
        self.by_sp = cache(self.spatial)
        self.lowest = cache(lambda d, lo, hi, picks: min(logs(d, picks)[lo - 1 : hi]))
        self.whole = [(1, len(rows)) for rows in dims]
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
        """A group's factor of the cycles, and how often the tensor without it enters the array."""
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
        trips = prod(-(-out // min(out, hi)) for out, (_, hi) in zip(outs, box, strict=True))
        found = [[max(x, trips) for x in self.factor(self.sides[2], trips, [(1, prod(outs))])]]
        if self.sides[2] and prod(hi - lo + 1 for lo, hi in box) <= 16:
            found = []
            for tile in product(*(range(lo, hi + 1) for lo, hi in box)):
                kinds = product(*(((n // t, t), (1, n % t)) for n, t in zip(outs, tile, strict=True)))
                kinds = [map(prod, zip(*kind, strict=True)) for kind in kinds]
                found.append([*self.factor(self.sides[2], trips, kinds)])
        return min(found)

    def costs(self, order: str, slide: int, box: Any, rounds: Any = (), point: Any = None) -> list[Any]:
        """At least, or at a point: ticks of array, bus; bits moved, at the array, held (I, O, W)."""
        low, (wide_i, wide_w, wide_o, wide_p) = [self.minima(d, *b) for d, b in enumerate(box)], self.bits
        many, stays = (low[0][0] > 1, low[1][0] > 1, any(a[0] > 1 for a in low[2:])), ORDERS.index(order)
        (n_co, co, _, *by_co), (n_ci, ci, twice, *by_ci), *axes = point or low
        slid = prod(a[1 + (i == slide and not (stays == 2 and many[1]))] for i, a in enumerate(axes))
        n_sp, largest, size = (prod(a[c] for a in axes) for c in (0, 3, 4))
        read = n_co if stays != 1 and (many[2] or (stays == 2 and many[1])) else 1  # ci, co | sp; co, sp | ci
        again = n_sp if stays and many[stays - 1] else 1  # ci, sp | co; co, sp | ci
        twice = twice if stays < 2 and (many[0] or many[2]) else 1
        by_sp, by_co = (
            [x for outs in self.outs for x in self.by_sp(outs, tuple(box[2:]))],
            by_co * len(self.outs),
        )
        words, most, more = co * self.taps[0], co * size, 0
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
        weights = self.ci * self.co * wide_w
        moved = self.ci * wide_i * slid * read + weights * sum(self.taps) * again
        moved += self.co * sum(self.pixels) * (wide_o - wide_p + wide_p * twice)
        ports = self.co * dot(self.pixels, [wide_o + 2 * wide_p * (n - 1) for n in by_ci[1::2]])
        ports += weights * dot(self.taps, by_sp[1::2]) + dot(self.reads, by_co[1::2]) * wide_i
        held = wide_i * ci * largest, (wide_p if many[1] else wide_o) * most, wide_w * ci * words
        bus = n_co * n_ci * again + n_ci * n_sp * read + n_co * n_sp * twice  # transfers
        bus = self.groups * (moved * self.per_bit + bus * self.setup)
        edge = sum(held) * self.per_bit + 3 * self.setup if self.double else bus
        array, copies = array * self.groups * self.per_cycle + edge, 1 + self.double
        return [array, bus, self.groups * moved, self.groups * ports, *(copies * bits for bits in held)]

    def least(self, order: str, slide: int, box: Any, rounds: Any = ()) -> tuple[Any, ...]:
        """Whether it may fit; at least: latency [ticks], traffic, bits at the array."""
        array, bus, moved, ports, *held = self.costs(order, slide, box, rounds)
        need = [-(-bits // self.bank) * self.bank for bits in held]
        fits = all(n <= r for n, r in zip(need if self.room[1:] else [sum(need)], self.room, strict=True))
        return fits, max(array, bus), moved, ports

    def price(self, mapping: Any) -> list[Any]:
        """Latency [ticks], traffic and bits at the array of a mapping, exactly."""
        tile, rounds = mapping["tile"], mapping["rounds"] if self.shared else []
        if self.shared:
            dealt = [sum(row) for row in rounds] == [self.co] * len(self.taps) and min(map(min, rounds)) >= 0
            tile = [len(rounds[0]) * (dealt and all(map(any, zip(*rounds, strict=True)))), *tile]
        slide = 0 if mapping["slide"] is None else mapping["slide"] + 1
        good = all(type(t) is int and 1 <= t <= d for t, (_, d) in zip(tile, self.whole, strict=True))
        if good and (mapping["slide"] is None or slide in self.sliding):
            fits, *costs = self.least(mapping["stationary"], slide, [(t, t) for t in tile], rounds)
            if fits:
                return costs
        raise Unproven("its mapping is none of this layer and machine, or does not fit the buffer")


class Claim:
    """No mapping that fits, within the cap, has less than the bound: of the latency, or of the objective."""

    def __init__(self, model: Model, bound: Fraction, cap: Any, latency: bool, duals: dict[str, Any]) -> None:
        *self.worth, self.fixed = [Fraction(1, model.per_cycle), 0, 0, 0] if latency else model.worth
        self.model, self.bound, self.cap, self.duals = model, bound - self.fixed, cap, duals
        self.grain = Fraction(1, lcm(*(w.denominator for w in self.worth)))  # values are multiples of it

    def look(self, order: str, slide: int, box: Any) -> tuple[list[str], Fraction]:
        """The reasons for which a box has no better mapping, and the least value of its mappings."""
        fits, *costs = self.model.least(order, slide, box)
        late, value = self.cap is not None and costs[0] > self.cap, dot(self.worth, costs)
        return [*"c" * (not fits), *"l" * late, *"m" * (value >= self.bound)], value

    def dual(self, order: str, slide: int, box: Any, name: str) -> bool:
        """Whether multipliers bound a box: above its tangent in the columns' logarithms is the Lagrangian."""
        if name not in self.duals:
            return False
        proof, model = self.duals[name], self.model
        late, bus, *rooms = numbers(proof, "late bus ifmap ofmap weights", True)
        prices = [self.worth[0] + late - bus, bus, *self.worth[1:], *rooms]
        rows = [numbers(row, range(len(row)), True) for row in map(str.split, proof["point"])]
        spent = late * (self.cap or 0) + dot(rooms if model.room[1:] else [max(rooms)], model.room)
        value = dot(prices, model.costs(order, slide, box, (), rows))
        total = FINE * (value - spent - self.bound + self.grain)
        for d, row in enumerate(rows):
            less = ([*rows[:d], [*row[:c], 0, *row[c + 1 :]], *rows[d + 1 :]] for c in range(len(row)))
            steps = [value - dot(prices, model.costs(order, slide, box, (), point)) for point in less]
            scale = lcm(*(step.denominator for step in steps))
            picks = tuple((int(scale * step), c) for c, step in enumerate(steps) if step)
            logs = sum(s * (log(row[c].numerator) + 2 - log(row[c].denominator)) for s, c in picks)
            total += Fraction(model.lowest(d, *box[d], picks) - logs, scale)
        return prices[0] >= 0 and (self.cap is not None or not late) and total > 0

    def verify(self, order: str, slide: int, tree: str, what: str) -> int:
        """How many leaves a tree has; raises Unproven unless each is excluded."""
        boxes, leaves = [self.model.whole], 0
        for token in [*tree.split(), "the end"]:
            box, cut = boxes.pop() if boxes else [], CUT.fullmatch(token)
            d, at = map(int, cut.groups()) if cut else (0, 0)
            if cut and d < len(box) and box[d][0] <= at < box[d][1]:
                boxes += [[*box[:d], half, *box[d + 1 :]] for half in ((at + 1, box[d][1]), (box[d][0], at))]
            elif box and (token in self.look(order, slide, box)[0] or self.dual(order, slide, box, token)):
                leaves += 1
            elif box or token != "the end":
                tiles = " x ".join(f"{lo}..{hi}" for lo, hi in box) or "none left"
                raise Unproven(f"{what}: leaf {leaves + 1} ({token:.9}, tiles {tiles}) is not excluded")
        return leaves


def proven(model: Model, entry: Any, rival: Any = (), aside: int = 0) -> tuple[Any, ...]:
    """Costs of a mapping, bound, least latency known, cap over it and rivals' with ``aside``, leaves."""
    costs, fastest = (entry.get(x) and model.price(entry[x]) for x in ("mapping", "fastest"))
    caps, known, leaves = [], [*rival, *(fastest or [])[:1]], 0
    for tolerance in model.tolerance:
        cap = floor((min(known) + aside) * (1 + tolerance) * (1 + Fraction(1, 10**12))) - aside
        caps.append(cap)
    for i, (proof, cap) in enumerate(zip(entry["claims"], [None, *caps], strict=True)):
        claim = Claim(model, *numbers(proof, "bound", True), cap, i < len(caps), proof["duals"])
        for order, slide in product(ORDERS, model.sliding):
            tree, what = proof["trees"][f"{order}{slide or ''}"], f"claim {i + 1}, {order}"
            leaves += claim.verify(order, slide, tree, what)
    return costs, claim.bound + claim.fixed, min(known, default=0), cap, leaves


def verified(entry: Any) -> str:
    """What is proven of a layer; raises Unproven."""
    model = Model(entry)
    if not model.shared:
        costs, bound, _, cap, leaves = proven(model, entry)
    else:
        kernels, (late, zeros) = {k: model.kernels.count(k) for k in model.kernels}, model.zeros
        apart = [proven(Model(entry, k), part) for k, part in zip(kernels, entry["parts"], strict=True)]
        (prices, bounds, least, _, more), n = zip(*apart, strict=True), list(kernels.values())
        costs, bound, _, cap, leaves = proven(model, entry["shared"], [dot(n, least)], late)
        if WAYS.index(entry["choice"]) == 0:
            costs = [dot(n, each) for each in zip(*prices, strict=True)]
        costs, cap = [costs[0] + late, costs[1] + zeros, costs[2]], None if cap is None else cap + late
        bound, leaves = min(bound, dot(n, bounds)) + dot(model.worth[:2], model.zeros), leaves + sum(more)
    value = dot(model.worth, (*costs, 1))
    if cap is not None and costs[0] > cap:
        raise Unproven("its mapping is slower than the cap")
    if [value] != numbers(entry, "value", True):
        raise Unproven(f"its mapping has {value}, not {entry['value']}")
    told = f"{entry['objective']['kind']} {float(value):,.9g}, bound {float(bound):,.9g}"
    return f"{told}, gap {float(1 - bound / value):.2%}, {leaves:,} leaves"


def check(text: str) -> Any:
    """Each layer's name, what is proven or why it is not, and whether it is; raises ``FOREIGN``."""
    data = json.loads(text, parse_float=str)
    if type(data) is not dict or data.get("format") != FORMAT:
        raise ValueError(f"no certificate of the format {FORMAT!r}")
    for entry in data["layers"]:
        try:
            yield entry["name"], verified(entry), True
        except Unproven as error:
            yield entry["name"], f"NOT PROVEN: {error}", False
        except FOREIGN as error:
            raise ValueError(f"{entry['name']}: a field is missing or not allowed: {error!r}") from error
    yield from ((left["name"], f"nothing is claimed: {left['reason']}", True) for left in data["left_out"])


def main(files: list[str]) -> int:
    """Check a file; returns the exit code: 0 all is proven, 1 some claim is not, 2 it is no certificate."""
    try:
        found = list(check(Path(*files).read_text("utf-8")))
    except (OSError, *FOREIGN) as error:
        print(f"{' '.join(files) or 'give one file'}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print("".join(f"{name}: {text}\n" for name, text, _ in found), end="")
    return int(not all(good for *_, good in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
