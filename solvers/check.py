"""``python -m solvers.check FILE``: verify a certificate with the standard library and this file alone.

A claim (no mapping that fits, within the cap on latency, is below the bound) has a tree for each order of
loops, in preorder: ``d:t`` cuts a box of tile sizes along dimension d (output, input channels, batch, axes)
into tiles of at most t, and of more. Else it is a leaf, whose mappings do not fit (``c``), exceed the cap
(``l``), or have at least the bound: as their costs are above those at minima of trips, words, cycles (``m``),
or by dual multipliers, a set for each axis that may slide (``d`` and their numbers). With shared ifmap tiles
dimension 0 is the number of rounds that hold the filters of all kernels: R rounds take R passes, ``ceil(co /
side)`` of each kernel, and the fullest holds the mean and one filter, at least.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from decimal import Context
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from math import ceil, floor, gcd, lcm, prod
from pathlib import Path
from typing import Any

FORMAT = "dnn-dataflow-certificate 3, tiles held whole"
ORDERS, OPS, WAYS = ("weight", "input", "output"), ("conv", "deconv"), ("split", "combine")
RATIO, CUT = re.compile("[0-9]{1,400}(/0*[1-9][0-9]{0,400})?"), re.compile("([0-9]):([0-9]{1,8})")
FOREIGN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
FINE = 10**12
log = cache(lambda n: int(FINE * Context(60).ln(n)) - 1)  # below FINE times the logarithm, by less than 2


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


def phases(size: int, kernel: int, stride: int, dilation: int, lo: int, hi: int, more: int) -> list[Any]:
    """The outputs of a transposed axis by residue, each a convolution; of no taps where none reaches them."""
    out, found = (size - 1) * stride - lo - hi + dilation * (kernel - 1) + more + 1, []
    for r in range(min(stride, *numbers([out], [0]))):
        shifts = range(r + lo, r + lo - dilation * kernel, -dilation)
        at = sorted(shift // stride for shift in shifts if shift % stride == 0)
        found += [(-((r - out) // stride), len(at), 1, dilation // gcd(dilation, stride), size, -[*at, 0][0])]
    return found


@cache
def axis_rows(parts: Any) -> list[Any]:
    """Per tile size: trips, words fetched, slid, longest interval (the hull of what the parts need), size."""
    rows = []
    for t in range(1, parts[0][0] + 1):
        hulls = [(0, 0)]
        for at in range(0, parts[0][0], t):
            needs = [(p, at * p[2] - p[5], (min(at + t, p[0]) - 1) * p[2] - p[5]) for p in parts if at < p[0]]
            spans = [(max(0, lo), min(p[4], hi + p[3] * (p[1] - 1) + 1)) for p, lo, hi in needs if p[1]]
            spans = [(lo, hi) for lo, hi in spans if lo < hi] or [(0, 0)]
            hulls.append((min(lo for lo, _ in spans), max(hi for _, hi in spans)))
        words = [hi - lo for lo, hi in hulls]
        twice = sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairwise(hulls))
        rows.append((len(hulls) - 1, sum(words), sum(words) - twice, max(words), t))
    return rows


@cache
def array_passes(side: int, outs: Any, tile: Any) -> int:
    """Sum over all tiles of one size of ceil(pixels / side)."""
    kinds = product(*(((out // t, t), (1, out % t)) for out, t in zip(outs, tile, strict=True)))
    return sum(prod(n for n, _ in kind) * -(-prod(x for _, x in kind) // side) for kind in kinds)


class Model:
    """A layer, a kernel of a deconvolution, or all of them, on one machine: what mappings and boxes cost."""

    def __init__(self, entry: Any, part: Sequence[Any] = ()) -> None:
        layer, machine, goal, parts = (entry[k] for k in ("layer", "machine", "objective", "partition"))
        self.co, self.ci, batch, self.groups = numbers(layer, "out_channels in_channels batch groups")
        rows, cols = numbers(machine, "rows cols")
        self.bits = numbers(machine["bits"], "ifmap weights ofmap partial_sums")
        deconv, axes, names = OPS.index(layer["op"]), layer["axes"], ("pad_lo", "pad_hi", "output_padding")
        if deconv:
            axes = [phases(*numbers(a, "in kernel stride dilation"), *map(a.get, names)) for a in axes]
        else:
            axes = [[(*numbers(a, "out kernel stride dilation in"), a["pad_lo"])] for a in axes]
        self.shared, axes = deconv > len(part), [[p] for p in part] or [[(batch, 1, 1, 1, batch, 0)], *axes]
        kernels = self.kernels = [k for k in product(*axes) if all(a[1] for a in k)]
        sides = {"output": (cols, 0, rows), "weight": (cols, rows, 0), "input": (0, rows, cols)}
        self.sides = sides[machine["dataflow"]]  # of output channels, input channels, pixels; 0 streams
        self.double = (False, True).index(machine["double_buffered"])
        self.sliding = range(1, ("refetch", "reuse").index(machine["halo"]) * len(axes))
        self.fill = (rows + cols - 2) * ("overlapped", "exposed").index(machine["fill"])
        self.bank = 1 if machine["bank_bytes"] is None else 8 * numbers(machine, "bank_bytes")[0]
        whole = 8 * machine["buffer_bytes"] // self.bank * self.bank
        self.room = [whole] if parts is None else [parts[k] for k in ("ifmap", "ofmap", "weights")]
        if not 2 <= len(axes) <= 4 or not kernels or self.bits[3] < self.bits[2]:
            raise ValueError("not one to three axes, no tap that reaches an output, or narrow partial sums")
        self.outs = [tuple(a[0] for a in k) for k in kernels]
        self.taps, self.pixels = [prod(a[1] for a in k) for k in kernels], list(map(prod, self.outs))
        dims = [list(self.channels(self.co, [1], 0)), list(self.channels(self.ci, self.taps, 1))]
        if self.shared:  # rounds of no size
            dims[0] = [(r, 0, 0, *dims[0][-1][3:]) for r in range(1, self.co * len(kernels) + 1)]
        dims += [axis_rows(tuple(a)) for a in axes]
        self.minima = cache(lambda d, lo, hi: list(map(min, zip(*dims[d][lo - 1 : hi], strict=True))))
        logs = cache(lambda d, picks: [sum(s * log(row[c]) for s, c in picks) for row in dims[d]])
        self.lowest = cache(lambda d, lo, hi, picks: min(logs(d, picks)[lo - 1 : hi]))
        self.whole, self.kind, capped = [(1, len(rows)) for rows in dims], goal["kind"], goal["tolerance"]
        self.tolerance = None if capped is None else numbers([capped], [0], True)[0]
        cycle, byte, pj = numbers(goal["weights"], "cycle byte pj", True)
        rate, clock = numbers(machine, "bandwidth frequency", True)
        mac, sram, dram, static = (pj * x for x in numbers(machine["energy"], "mac sram dram static", True))
        self.per_cycle, self.per_bit = (8 * rate / clock).as_integer_ratio()  # ticks
        self.setup = self.per_cycle * (numbers([1 + machine["transfer_setup"]], [0])[0] - 1)
        zeros = (
            self.co
            * self.bits[2]
            * (prod(sum(p[0] for p in a) for a in axes) - sum(self.pixels))
            * self.groups
        )
        self.zeros = zeros * self.per_bit + self.setup * (prod(map(len, axes)) - len(kernels)), zeros
        macs = self.groups * self.co * self.ci * dot(self.taps, self.pixels)
        grid = {a: product(range(a[0]), range(a[1])) for parts in axes for a in parts}
        pairs = {a: sum(0 <= y * a[2] + t * a[3] - a[5] < a[4] for y, t in at) for a, at in grid.items()}
        self.reads = [self.ci * prod(pairs[a] for a in k) for k in kernels]
        self.worth = [(cycle + static / clock) / self.per_cycle, byte / 8 + sram + dram, sram, mac * macs]

    def factor(self, side: int, n: int, tiles: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """A group's factor of the cycles, and how often the tensor without it enters the array."""
        cycles = sum(count * (-(-size // side) if side else size) for count, size in tiles)
        return (cycles, cycles) if side else (cycles + n * self.fill, n)

    def channels(self, extent: int, words: Sequence[int], group: int) -> Iterator[tuple[int, ...]]:
        """Per tile size: trips, size, transfers of a partial sum, ``factor`` for each number of words."""
        for t in range(1, extent + 1):
            n, side = -(-extent // t), self.sides[group]
            tiles = ([(n - 1, t * w), (1, (extent - (n - 1) * t) * w)] for w in words)
            yield n, t, 2 * n - 1, *(x for each in tiles for x in self.factor(side, n, each))

    def spatial(self, outs: Any, box: Any) -> tuple[int, int]:
        """``factor`` of a kernel's outputs: ``sum ceil(p / side) >= ceil(sum p / side)``, and trips."""
        side, tiles = self.sides[2], product(*(range(lo, hi + 1) for lo, hi in box))
        if side and prod(hi - lo + 1 for lo, hi in box) <= 16:  # few: one by one
            return (min(array_passes(side, outs, tile) for tile in tiles),) * 2
        trips = prod(-(-out // min(out, hi)) for out, (_, hi) in zip(outs, box, strict=True))
        cycles, entries = self.factor(side, trips, [(1, prod(outs))])
        return max(cycles, trips), max(entries, trips)

    def slides(self, order: str, box: Any) -> Any:
        """The axes that may slide; the batch, which has nothing to slide over, if none may."""
        partial = order == "output" and self.minima(1, *box[1])[0] > 1
        return [0] if partial or not self.sliding else self.sliding

    def costs(self, order: str, box: Any, slide: int, rounds: Any = (), point: Any = None) -> list[Any]:
        """At least, or at a point: ticks of array and bus; bits moved, at the array, held (ifmap, ofmap, weights)."""
        low, (wide_i, wide_w, wide_o, wide_p) = [self.minima(d, *b) for d, b in enumerate(box)], self.bits
        many, stays = (low[0][0] > 1, low[1][0] > 1, any(a[0] > 1 for a in low[2:])), ORDERS.index(order)
        (n_co, co, _, *by_co), (n_ci, ci, twice, *by_ci), *axes = point or low
        slid = prod(a[1 + (i == slide)] for i, a in enumerate(axes))
        n_sp, largest, size = (prod(a[c] for a in axes) for c in (0, 3, 4))
        read = n_co if stays != 1 and (many[2] or (stays == 2 and many[1])) else 1  # ci, co | sp; co, sp | ci
        again = n_sp if stays and many[stays - 1] else 1  # ci, sp | co; co, sp | ci
        twice = twice if stays < 2 and (many[0] or many[2]) else 1
        by_sp, by_co = [x for outs in self.outs for x in self.spatial(outs, box[2:])], by_co * len(self.outs)
        words, most, more = co * self.taps[0], co * size, 0
        if self.shared:
            held = [prod(map(min, outs, (lo for lo, _ in box[2:]))) for outs in self.outs]
            words, most = (max(*w, -(-self.co * sum(w) // box[0][1])) for w in (self.taps, held))
            more = max(0, low[0][0] - len(held) * low[0][4]) * (1 if self.sides[0] else self.fill)
        if rounds:
            filled, more = [[(1, x) for x in row if x] for row in rounds], 0
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
        sent = n_co * n_ci * again + n_ci * n_sp * read + n_co * n_sp * twice  # transfers
        bus = self.groups * (moved * self.per_bit + sent * self.setup)
        edge = sum(held) * self.per_bit + 3 * self.setup if self.double else bus
        array, copies = array * self.groups * self.per_cycle + edge, 1 + self.double
        return [array, bus, self.groups * moved, self.groups * ports, *(copies * bits for bits in held)]

    def least(self, order: str, box: Any, slides: Any = None, rounds: Any = ()) -> tuple[Any, ...]:
        """Whether it may fit; at least: latency [ticks], traffic, bits at the array."""
        free = [s for s in self.slides(order, box) if slides is None or s in slides] or [0]
        array, bus, moved, ports, *held = map(
            min, zip(*(self.costs(order, box, s, rounds) for s in free), strict=True)
        )
        need = [-(-bits // self.bank) * self.bank for bits in held]
        fits = all(n <= r for n, r in zip(need if self.room[1:] else [sum(need)], self.room, strict=True))
        return fits, max(array, bus), moved, ports

    def price(self, mapping: Any) -> list[Any]:
        """Latency [ticks], traffic and bits at the array of a mapping, exactly."""
        tile, rounds = mapping["tile"], mapping["rounds"] if self.shared else []
        if self.shared:
            dealt = [sum(row) for row in rounds] == [self.co] * len(self.taps) and min(map(min, rounds)) >= 0
            tile = [len(rounds[0]) * (dealt and all(map(any, zip(*rounds, strict=True)))), *tile]
        slides = () if mapping["slide"] is None else (mapping["slide"] + 1,)
        good = all(type(t) is int and 1 <= t <= d for t, (_, d) in zip(tile, self.whole, strict=True))
        if good and {*slides} <= {*self.sliding}:
            fits, *costs = self.least(mapping["stationary"], [(t, t) for t in tile], slides, rounds)
            if fits:
                return costs
        raise Unproven("its mapping is none of this layer and machine, or does not fit the buffer")


class Claim:
    """No mapping that fits, within the cap, has less than the bound: of the latency, or of the objective."""

    def __init__(self, model: Model, bound: Fraction, cap: Any, latency: bool, duals: list[Any]) -> None:
        *worth, fixed = [Fraction(1, model.per_cycle), *[Fraction(0)] * 3] if latency else model.worth
        self.model, self.cap, self.fixed, self.duals = model, cap, fixed, duals
        self.scale = lcm(*(w.denominator for w in worth))
        self.worth, self.bound = [int(w * self.scale) for w in worth], ceil((bound - fixed) * self.scale)

    def look(self, order: str, box: Any) -> tuple[str, int]:
        """The reasons for which a box has no better mapping, and the least value of its mappings."""
        fits, *costs = self.model.least(order, box)
        late, value = self.cap is not None and costs[0] > self.cap, dot(self.worth, costs)
        return "c" * (not fits) + "l" * late + "m" * (value >= self.bound), value

    def dual(self, order: str, box: Any, slide: int, proof: Any) -> bool:
        """Whether multipliers bound a box: above its tangent in the columns' logarithms is the Lagrangian."""
        late, bus, *rooms = numbers(proof, "late bus ifmap ofmap weights", True)
        prices, model = [self.worth[0] + late - bus, bus, *self.worth[1:], *rooms], self.model
        rows = [numbers(row, range(len(row)), True) for row in map(str.split, proof["point"])]
        if prices[0] < 0 or (late and self.cap is None):
            return False

        def worth(d: int, row: Any) -> Any:
            return dot(prices, model.costs(order, box, slide, (), [*rows[:d], row, *rows[d + 1 :]]))

        spent = late * (self.cap or 0) + dot(rooms if model.room[1:] else [max(rooms)], model.room)
        value, total = worth(0, rows[0]), -FINE * (spent + self.bound - 1)
        for d, row in enumerate(rows):
            steps = [value - worth(d, [*row[:c], 0, *row[c + 1 :]]) for c in range(len(row))]
            scale = lcm(*(step.denominator for step in steps))
            picks = tuple((int(scale * step), c) for c, step in enumerate(steps) if step)
            logs = sum(s * (log(row[c].numerator) + 2 - log(row[c].denominator)) for s, c in picks)
            total += Fraction(model.lowest(d, *box[d], picks) - logs, scale)
        return total + FINE * value > 0

    def excludes(self, order: str, box: Any, reason: str) -> bool:
        """Whether no mapping of a box is better, for this reason."""
        if reason[0] != "d":
            return reason in ("c", "l", "m") and reason in self.look(order, box)[0]
        pairs = zip(self.model.slides(order, box), reason[1:].split(","), strict=True)
        return all(self.dual(order, box, slide, self.duals[int(name)]) for slide, name in pairs)

    def verify(self, order: str, tree: str, what: str) -> int:
        """How many leaves a tree has; raises Unproven unless each is excluded."""
        boxes, leaves = [self.model.whole], 0
        for token in [*tree.split(), "the end"]:
            box, cut = boxes.pop() if boxes else [], CUT.fullmatch(token)
            d, at = map(int, cut.groups()) if cut else (0, 0)
            if cut and d < len(box) and box[d][0] <= at < box[d][1]:
                boxes += [[*box[:d], half, *box[d + 1 :]] for half in ((at + 1, box[d][1]), (box[d][0], at))]
            elif box and self.excludes(order, box, token):
                leaves += 1
            elif box or token != "the end":
                tiles = " x ".join(f"{lo}..{hi}" for lo, hi in box) or "none left"
                raise Unproven(f"{what}: leaf {leaves + 1} ({token:.9}, tiles {tiles}) is not excluded")
        return leaves


def proven(model: Model, entry: Any, rival: Sequence[int] = (), aside: int = 0) -> tuple[Any, ...]:
    """Costs of a mapping, bound, least latency known, cap over it and rivals' with ``aside``, leaves."""
    proofs, leaves, cap, known = entry["claims"], 0, None, [*rival]
    costs, fastest = (entry.get(x) and model.price(entry[x]) for x in ("mapping", "fastest"))
    if len(proofs) != 1 + (model.tolerance is not None):
        raise Unproven("its claims are not those of its objective")
    if model.tolerance is not None:
        known += (fastest or [])[:1]
        cap = floor((min(known) + aside) * (1 + model.tolerance) * (1 + Fraction(1, 10**12))) - aside
    for i, proof in enumerate(proofs, 1):
        [bound], last = numbers(proof, "bound", True), i == len(proofs)
        claim = Claim(model, bound, cap if last else None, not last, proof["duals"])
        leaves += sum(claim.verify(order, proof["trees"][order], f"claim {i}, {order}") for order in ORDERS)
    return costs, bound, min(known, default=0), cap, leaves


def verified(entry: Any) -> str:
    """What is proven of a layer; raises Unproven."""
    model = Model(entry)
    if not model.shared:
        costs, bound, _, cap, leaves = proven(model, entry)
    else:
        kernels = {kernel: model.kernels.count(kernel) for kernel in model.kernels}
        late, zeros = model.zeros
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
    gap = float(1 - bound / value)
    return f"{model.kind} {float(value):,.9g}, bound {float(bound):,.9g}, gap {gap:.2%}, {leaves:,} leaves"


def check(text: str) -> Iterator[tuple[str, str, bool]]:
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


def main(files: Sequence[str]) -> int:
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
