"""What a layer moves and holds when some of its operands stay on the chip: the only home of these formulas.

Built on the words, tiles and cycles of ``formulation.cost``. Like there, every function takes integers or
integer arrays. With ``s`` the share of ifmap words from sources that do not stay, ``s_w`` that of weights
that are features (1 for trained weights), and ``in_place`` an ofmap that stays as it is:

    bits      = s*ifmap*w_ifmap + s_w*weights*w_weights + (written + read)*w_ofmap
                + (0 if in_place else 2*ofmap_read*w_partial)
    parts     = footprint of the tiles of what moves: no ifmap if s = 0, no weights if s_w = 0, no ofmap if
                in_place
    need      = parts + (wider if in_place and n_ci > 1)
    edge      = tiles of ifmap and weights as above, and of the ofmap if anything is written, partial sums
                that spill included
    transfers = (ifmap if s > 0) + (weights if s_w > 0) + (0 if in_place else 2*ofmap_read)
                + ofmap tiles * (tensors written + tensors read)
    latency   = cost.latency_ticks(compute, bits, edge), with a set-up for each transfer, and in the edge for
                each tensor that has a tile there
    spent     = Rates.of(MACs, bits at the array as if nothing stays, bits, latency)

``written`` are the words of the stored tensors that the layer emits and that do not stay or leave the
network; ``read`` what its drain nodes read of tensors that do not stay. Of each of these tensors a part goes
with every ofmap tile: that is a transfer. ``wider`` is what the whole ofmap takes more at the partial sums'
width. A tensor that stays takes its words besides (``stored_bits``). The array
reads and writes the buffer as often wherever its operands are; what drain nodes read there is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd

from dnns.layer import Operator
from formulation.cost import Num, TensorBits, Traffic, footprint
from formulation.evaluation import Work
from formulation.hardware import Hardware, Rates
from formulation.network.graph import LayerUse, Tensor, Value
from formulation.pricing.price import latency_ticks


@dataclass(frozen=True, slots=True)
class MovedWords:
    """Words between DRAM and SRAM; partial sums are written and read back as often."""

    ifmap: Num
    weights: Num
    partial_sums: Num
    written: Num
    read: Num

    def bits(self, hardware: Hardware) -> Num:
        """All of them, each at its width."""
        width = hardware.bits
        return (
            self.ifmap * width.ifmap
            + self.weights * width.weights
            + 2 * self.partial_sums * width.partial_sums
            + (self.written + self.read) * width.ofmap
        )


@dataclass(frozen=True, slots=True)
class Movement:
    """The state of a layer's operands, as far as its cost sees it.

    Attributes:
        ifmap: words of the ifmap, and how many of them come from the DRAM, in lowest terms.
        weights: the same of the weights; (1, 1) for trained ones.
        in_place: whether the ofmap stays as it is.
        written: words written besides partial sums.
        read: words that drain nodes read.
        wider: bits that the whole ofmap takes more while it is partial sums, if it stays; else 0.
        moves: tensors that are written or read besides partial sums; 0 where set-ups take no time.
    """

    ifmap: tuple[int, int]
    weights: tuple[int, int]
    in_place: bool
    written: int
    read: int
    wider: int = 0
    moves: int = 0

    def words(self, layer: Traffic) -> MovedWords:
        """Words between DRAM and SRAM.

        Args:
            layer: those of the layer by itself (``cost.traffic``).
        """
        return MovedWords(
            layer.ifmap * self.ifmap[1] // self.ifmap[0],
            layer.weights * self.weights[1] // self.weights[0],
            0 * layer.ofmap_read if self.in_place else layer.ofmap_read,
            self.written,
            self.read,
        )

    def bits(self, hardware: Hardware, layer: Traffic) -> Num:
        """DRAM traffic [bits]; ``layer`` as of ``words``."""
        return self.words(layer).bits(hardware)

    def parts(self, tile: TensorBits) -> TensorBits:
        """The tiles that take a part of the buffer."""
        return TensorBits(
            tile.ifmap if self.ifmap[1] else 0 * tile.ifmap,
            0 * tile.ofmap if self.in_place else tile.ofmap,
            tile.weights if self.weights[1] else 0 * tile.weights,
        )

    def need(self, hardware: Hardware, tile: TensorBits, trips_ci: Num) -> Num:
        """Buffer that a mapping takes beside the tensors that stay [bits]."""
        return footprint(hardware, self.parts(tile)).total + self.wider * (trips_ci > 1)

    def edge(self, tile: TensorBits, layer: Traffic) -> TensorBits:
        """The tiles that move before and after the array works."""
        parts = self.parts(tile)
        if self.written:
            return replace(parts, ofmap=tile.ofmap)
        spills = 0 if self.in_place else 1 * (layer.ofmap_read > 0)
        return replace(parts, ofmap=tile.ofmap * spills)

    def setup(self, hardware: Hardware, layer: Traffic) -> Num:
        """Cycles to set up what moves; ``layer`` are the transfers of the layer by itself."""
        each = 0 * layer.ofmap_read if self.in_place else 2 * layer.ofmap_read
        each = each + self.moves * (layer.ofmap_write - layer.ofmap_read)
        for tensor, (_, moving) in ((layer.ifmap, self.ifmap), (layer.weights, self.weights)):
            each = each + (tensor if moving else 0)
        return hardware.transfer_cycles * each

    def latency(
        self,
        hardware: Hardware,
        compute: Num,
        layer: Traffic,
        tile: TensorBits,
        transfers: Traffic | None = None,
        wide: bool = False,
    ) -> Num:
        """Latency [ticks].

        Args:
            hardware: the machine.
            compute: cycles of the array.
            layer: words of the layer by itself.
            tile: bits of its largest tiles.
            transfers: of the layer by itself; None where setting them up takes no time.
            wide: as of ``price.latency_ticks``.
        """
        bits, edge = self.bits(hardware, layer), self.edge(tile, layer)
        if transfers is None:
            return latency_ticks(hardware, compute, bits, edge, wide=wide)
        spills = 0 if self.in_place else 1 * (layer.ofmap_read > 0)
        first = (self.ifmap[1] > 0) + (self.weights[1] > 0) + (1 if self.written else spills)
        setup = self.setup(hardware, transfers)
        return latency_ticks(hardware, compute, bits, edge, setup, first=first, wide=wide)

    def cost(self, hardware: Hardware, macs: int, work: Work) -> MovedCost:
        """The cost of one mapping in integers, of so many multiply-accumulates."""
        latency = self.latency(hardware, work.compute, work.traffic, work.tile, work.transfers)
        need = self.need(hardware, work.tile, work.trips.ci)
        bits = int(self.bits(hardware, work.traffic))
        return MovedCost(int(need), int(latency), bits, macs, work.array.bits(hardware))


@dataclass(frozen=True, slots=True)
class MovedCost:
    """What a layer, or a run of them, takes and costs beside tensors that stay.

    Attributes:
        need: buffer [bits].
        latency: in ticks of ``hardware.tick``.
        traffic: in bits.
        macs: multiply-accumulates.
        ports: bits between buffer and array.
    """

    need: int
    latency: int
    traffic: int
    macs: int = 0
    ports: int = 0

    def spent(self, rates: Rates) -> int:
        """Of a quantity that sums what is done [quanta]."""
        return int(rates.of(self.macs, self.ports, self.traffic, self.latency))

    def energy_pj(self, hardware: Hardware) -> Fraction:
        """Energy on the machine of these costs [pJ]."""
        return hardware.quantum.told(self.spent(hardware.quantum))


def stored_bits(hardware: Hardware, words: int, width: int) -> int:
    """Buffer that a tensor that stays takes: whole banks [bits]."""
    return -(-words * width // hardware.bank_bits) * hardware.bank_bits


def kept_bits(hardware: Hardware, tensor: Tensor) -> int:
    """The same at the ofmap's width, which stored tensors have."""
    return stored_bits(hardware, tensor.words, hardware.bits.ofmap)


def alone(layer: Operator) -> Movement:
    """The movement of a layer by itself: all comes from the DRAM, and its ofmap goes there."""
    return Movement((1, 1), (1, 1), False, layer.ofmap_words, 0, moves=1)


def movement_of(
    hardware: Hardware, tensors: Sequence[Tensor], use: LayerUse, stays: Iterable[int]
) -> Movement:
    """The movement of a layer beside a set of tensors that stay.

    Args:
        hardware: the machine.
        tensors: of the graph.
        use: the layer among them.
        stays: indices of the tensors that stay.
    """
    kept = frozenset(stays)

    def moving(sources: Value) -> int:
        return sum(s.words for s in sources if s.tensor not in kept)

    in_place = use.ofmap in kept
    written = [t for t in use.emits if t not in kept or tensors[t].is_output]
    read = [s for s in use.drain_reads if s.tensor not in kept]
    own = tensors[use.ofmap]
    whole = stored_bits(hardware, own.words, hardware.bits.partial_sums)
    every = sum(s.words for s in use.weights)
    return Movement(
        ifmap=_ratio(sum(s.words for s in use.ifmap), moving(use.ifmap)),
        weights=_ratio(every, moving(use.weights)) if use.weights else (1, 1),
        in_place=in_place,
        written=sum(tensors[t].words for t in written),
        read=moving(use.drain_reads),
        wider=whole - kept_bits(hardware, own) if in_place else 0,
        moves=len(written) + len(read) if hardware.transfer_cycles else 0,
    )


def _ratio(whole: int, part: int) -> tuple[int, int]:
    """In lowest terms, so that equal layers have equal movements."""
    common = gcd(whole, part)
    return whole // common, part // common
