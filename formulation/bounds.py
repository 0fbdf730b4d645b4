"""Bounds that hold for every schedule of a layer whose ifmap comes from, and whose ofmap goes to, the DRAM.

They are not bounds of one map space: whatever a schedule does, in whatever order, it moves at least the
compulsory traffic and the least communication, and takes at least the roofline.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isqrt, prod

from dnns.layer import Layer, Operator
from formulation.cost import Trips, array_passes, array_traffic, group_cycles
from formulation.hardware import BitWidths, Hardware, Rates
from formulation.mapping import Group

_KEPT = 1024  # answers, which are asked for again by every total


def compulsory_bits(layer: Operator, hardware: Hardware) -> int:
    """Each ifmap word that some tap touches, each weight that is used and each ofmap word, once [bits]."""
    return _compulsory_bits(layer, hardware.bits)


@lru_cache(maxsize=_KEPT)
def _compulsory_bits(layer: Operator, width: BitWidths) -> int:
    touched = layer.groups * layer.in_channels * layer.batch * prod(axis.touched for axis in layer.axes)
    return touched * width.ifmap + used_weights(layer) * width.weights + layer.ofmap_words * width.ofmap


def used_weights(layer: Operator) -> int:
    """Weights of all groups that some output needs."""
    if isinstance(layer, Layer):
        return layer.weight_words
    taps = prod(sum(phase.taps for phase in axis.phases) for axis in layer.axes)
    return layer.groups * layer.out_channels * layer.in_channels * taps


@lru_cache(maxsize=_KEPT)
def roofline_ticks(layer: Operator, hardware: Hardware) -> Fraction:
    """``max(MACs / (rows*cols), compulsory / bandwidth)`` in ticks of ``hardware.tick``.

    For a deconvolution it holds whether its sub-convolutions run apart or share the ifmap.
    """
    tick = hardware.tick
    compute = Fraction(layer.macs * tick.per_cycle, hardware.rows * hardware.cols)
    return max(compute, Fraction(compulsory_bits(layer, hardware) * tick.per_bit))


def least_spent(layer: Operator, hardware: Hardware, rates: Rates) -> Fraction:
    """What the multiply-accumulates, compulsory traffic, the roofline's time and the array's ports take.

    Of a layer, each tensor goes between buffer and array as if there were one tile of it: with more, a
    group's ``array_passes`` are no fewer (``sum ceil(part / side) >= ceil(whole / side)``). Of a
    deconvolution, each word goes once. In quanta of the rates.
    """
    ports, ticks = least_array_bits(layer, hardware), roofline_ticks(layer, hardware)
    return Fraction(rates.of(layer.macs, ports, compulsory_bits(layer, hardware), ticks))


def least_energy_pj(layer: Operator, hardware: Hardware) -> Fraction:
    """Energy that no schedule of the layer is below [pJ]."""
    return hardware.quantum.told(least_spent(layer, hardware, hardware.quantum))


def least_array_bits(layer: Operator, hardware: Hardware) -> int:
    """Bits between buffer and array, as ``least_spent`` has them; wherever the operands come from."""
    if not isinstance(layer, Layer):
        return compulsory_bits(layer, hardware)
    return _least_array_bits(layer, hardware.for_tables)


@lru_cache(maxsize=_KEPT)
def _least_array_bits(layer: Layer, hardware: Hardware) -> int:
    extents = {Group.CO: layer.out_channels, Group.CI: layer.in_channels, Group.SP: layer.pixels}
    moved = {
        group.value: array_passes(hardware, group, 1, group_cycles(layer, hardware, group, 1, [(1, extent)]))
        for group, extent in extents.items()
    }
    bits: int = array_traffic(layer, layer.ifmap_reads, Trips(**moved)).bits(hardware)
    return bits


@lru_cache(maxsize=_KEPT)
def least_communication_bits(layer: Operator, hardware: Hardware) -> int:
    """Bits that a machine with so small a memory moves at least, in whatever order it computes [bits].

    Per group, with ``V`` multiply-accumulates that read no padding, a memory of ``S`` words, and at most
    ``R = prod(axis.reuse)`` pairs of an output position and a tap that read one ifmap word::

        words >= m * X    for all whole m, X with    m * sqrt(R * ((S + X) / 3)**3) < V

    Cut the schedule after every X words that are read or begun (an output's first partial sum). Between two
    cuts at most S + X words of all three tensors are at hand, hence at most ``sqrt(R |ifmap| |weights|
    |ofmap|) <= sqrt(R ((S + X) / 3)**3)`` products (Loomis and Whitney). So more than m pieces are needed,
    and m of them are whole: m X words are read or begun. Every output that is begun is written, so as
    many words are read or written. (Hong and Kung 1981; Smith et al. 2019, where R = 1 and X = 2 S give
    ``2 V / sqrt(S)``; Chen et al., HPCA 2020, for the reuse in a convolution.)

    ``S`` is the buffer and three registers per processing element, in words of the narrowest width, which is
    also what a word is counted at. Each multiply-accumulate is done once (the classical algorithm).
    """
    width = hardware.bits
    narrowest = min(width.ifmap, width.weights, width.ofmap)
    registers = hardware.rows * hardware.cols * (width.ifmap + width.weights + width.partial_sums)
    memory = (8 * hardware.buffer_bytes + registers) // narrowest
    macs, reuse = _products(layer)
    likely = isqrt(macs**2 // (reuse * memory**3))
    pieces = {1, 2, 3, *range(max(1, likely - 1), likely + 3)}
    words = (
        max(m * (_cube_root((27 * macs**2 - 1) // (m**2 * reuse)) - memory) for m in pieces) if macs else 0
    )
    return layer.groups * max(0, words) * narrowest


@lru_cache(maxsize=_KEPT)
def _products(layer: Operator) -> tuple[int, int]:
    """Multiply-accumulates of a group that read no padding, and pairs that read one ifmap word at most."""
    macs = layer.batch * layer.out_channels * layer.in_channels * prod(axis.pairs for axis in layer.axes)
    return macs, prod(axis.reuse for axis in layer.axes)


def least_traffic_bits(layer: Operator, hardware: Hardware) -> int:
    """The greater of compulsory traffic and least communication [bits]."""
    return max(compulsory_bits(layer, hardware), least_communication_bits(layer, hardware))


def _cube_root(value: int) -> int:
    """The greatest integer whose cube is at most ``value``, by Newton's steps from above, which only fall."""
    root, lower = 0, 1 << (value.bit_length() // 3 + 1) if value else 0
    if 0 < lower < 1 << 300:  # a float that is above the root by far more than it is rounded by
        lower = int(value ** (1 / 3) * (1 + 1e-9)) + 1
    while lower != root:
        root = lower
        lower = min(root, (2 * root + value // root**2) // 3)
    return root
