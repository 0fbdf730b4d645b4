"""What 64 bits must hold: proven for every mapping before any is priced, or refused.

Tables and searches count cycles, words and bits as int64 arrays, which wrap silently. Here the greatest of
each is bounded in Python's integers:

    cycles <= groups * product over the groups of loops of (their factor with tiles of one element)
    bits   <= groups * Ci * Co * (product of the axes' most fetched words) * ifmap width
              + W * pixels * weight width + O * (ofmap width + 2 * Ci * partial-sum width)
    held   <= copies * bits of whole tensors + a bank for each
    array  <= bits between buffer and array with tiles of one element and an array of one

A factor with smaller tiles is never less: a sum of ``ceil(part / side)`` grows where a part is cut, and so
does the number of fills. No tensor is fetched more often than there are tiles of what it is independent of.
An axis of O outputs fetches at most ``O * min(in, max(Ke, stride))`` words: n tiles have intervals of at most
``in`` words, and of ``Ke + (length - 1) * stride`` before they are clipped.

All else that is computed on the way is a product of some of the factors, none of them below one, or a part of
the sum, none of them negative; so it is not above the whole either. Hence nothing wraps if the whole is below
``SAFE``, half of what int64 holds; sums of two such numbers are safe as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from dnns.axes import Axis
from dnns.layer import Layer, Operator
from formulation.cost import Trips, array_traffic, group_cycles, setup_cycles
from formulation.hardware import BitWidths, Hardware, Rates
from formulation.mapping import Group, Stationary
from formulation.pricing.price import EDGE_TRANSFERS

#: Numbers below this one are trusted to int64 arithmetic.
SAFE = 1 << 62
#: Dimensions are below this one: a table of all tile sizes then takes no more than some 100 MB a column.
LONGEST = 1 << 24


class TooLargeError(ValueError):
    """A layer whose mappings cannot be counted in 64 bits, or not be tabulated."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Bounds on what any mapping of a layer takes.

    Attributes:
        cycles: of the array, and of the DMA engine to set transfers up.
        bits: moved.
        held: in the buffer [bits].
        extent: greatest of a dimension, so the length of the longest table.
        series: sums over the tiles of an axis, and their parts.
        array: bits between buffer and array; 0 where the objective does not sum them.
    """

    cycles: int
    bits: int
    held: int
    extent: int
    series: int = 0
    array: int = 0

    def checked(self, name: str) -> Counts:
        """These bounds, if 64 bits hold them and memory holds the tables.

        Raises:
            TooLargeError: if not.
        """
        for what, most, limit in (
            ("elements of a dimension", self.extent, LONGEST),
            ("cycles", self.cycles, SAFE),
            ("bits of traffic", self.bits, SAFE),
            ("bits of tiles", self.held, SAFE),
            ("places along an axis", self.series, SAFE),
            ("bits into and out of the array", self.array, SAFE),
        ):
            if most >= limit:
                raise TooLargeError(f"{name} is too large: {most:.3g} {what}, must be below {limit:.3g}")
        return self

    def are_wide(self, hardware: Hardware) -> bool:
        """Whether 64 bits might not hold a latency in ticks."""
        return bool(hardware.tick.of(self.cycles, self.bits + self.held) >= SAFE)

    def sum_is_wide(self, layer: Operator, hardware: Hardware, rates: Rates | None) -> bool:
        """Whether 64 bits might not hold what is spent, in quanta of the rates; not if nothing is summed."""
        if rates is None:
            return False
        latency = hardware.tick.of(self.cycles, self.bits + self.held)
        return bool(rates.of(layer.macs, self.array, self.bits, latency) >= SAFE)


def most_fetched(axis: Axis) -> int:
    """Words that one pass over an axis fetches at most, however it is cut."""
    return axis.out * min(axis.in_size, max(axis.effective_kernel, axis.stride))


def layer_counts(layer: Layer, hardware: Hardware, *, summed: bool = False) -> Counts:
    """Bounds for a layer; see the module's equations. At the array only where it is summed."""
    return _layer_counts(layer, hardware.for_tables, hardware.bank_bits, summed)


@lru_cache(maxsize=1024)
def _layer_counts(layer: Layer, hardware: Hardware, bank_bits: int, summed: bool) -> Counts:
    """The same for all machines that have the same tables and banks."""
    width = moved_widths(hardware)
    extents = {Group.CO: layer.out_channels, Group.CI: layer.in_channels, Group.SP: layer.pixels}
    factors = (group_cycles(layer, hardware, g, n, [(n, 1)]) for g, n in extents.items())
    passes = layer.groups * layer.batch * layer.in_channels * layer.out_channels
    bits = (
        passes * prod(map(most_fetched, layer.axes)) * width.ifmap
        + layer.weight_words * layer.pixels * width.weights
        + layer.ofmap_words * (width.ofmap + 2 * layer.in_channels * width.partial_sums)
    )
    width = hardware.bits
    whole = (
        layer.ifmap_words * width.ifmap
        + layer.weight_words * width.weights
        + layer.ofmap_words * width.partial_sums
    )
    held = hardware.copies * whole + 3 * bank_bits
    extent = max(layer.out_channels, layer.in_channels, layer.batch, *(axis.out for axis in layer.axes))
    series = max(map(_series, layer.axes))
    array = 0
    if summed:
        most = Trips(layer.out_channels, layer.in_channels * layer.taps, layer.pixels)
        array = array_traffic(layer, layer.ifmap_reads, most).bits(hardware)
    cycles = layer.groups * prod(factors) + most_setup(hardware, layer.groups, *extents.values())
    return Counts(cycles, bits, held, extent, series, array)


def moved_widths(hardware: Hardware) -> BitWidths:
    """Bits that a word moves at most: its own, and a burst if it is a run by itself."""
    width, more = hardware.bits, hardware.burst_bits - 1
    return BitWidths(*(getattr(width, name) + more for name in width.__slots__))


def most_setup(hardware: Hardware, groups: int, co: int, ci: int, sp: int) -> int:
    """Cycles to set up the transfers of so many trips, each tensor in the loop order that moves it most."""
    each = (setup_cycles(hardware, groups, order, Trips(co, ci, sp)) for order in Stationary)
    return int(sum(each)) + EDGE_TRANSFERS * hardware.transfer_cycles


def _series(axis: Axis) -> int:
    """What ``formulation.extents`` computes on the way to the sums of an axis, at most."""
    ends = axis.in_size + abs(axis.pad_lo) + axis.effective_kernel + axis.stride
    return (axis.out + 1) * (2 * (axis.out + 1) * axis.stride + ends)
