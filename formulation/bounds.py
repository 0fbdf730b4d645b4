"""Bounds that no mapping can beat: compulsory traffic and the roofline."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from dnns.layer import Layer, Operator
from formulation.hardware import Hardware


def compulsory_bits(layer: Operator, hardware: Hardware) -> int:
    """Each ifmap word that some tap touches, each weight that is used and each ofmap word, once [bits]."""
    touched = layer.groups * layer.in_channels * layer.batch * prod(axis.touched for axis in layer.axes)
    width = hardware.bits
    return touched * width.ifmap + _used_weights(layer) * width.weights + layer.ofmap_words * width.ofmap


def _used_weights(layer: Operator) -> int:
    if isinstance(layer, Layer):
        return layer.weight_words
    taps = prod(sum(phase.taps for phase in axis.phases) for axis in layer.axes)
    return layer.groups * layer.out_channels * layer.in_channels * taps


def roofline_ticks(layer: Operator, hardware: Hardware) -> Fraction:
    """``max(MACs / (rows*cols), compulsory / bandwidth)`` in ticks of ``hardware.tick``.

    For a deconvolution it holds whether its sub-convolutions run apart or share the ifmap.
    """
    tick = hardware.tick
    compute = Fraction(layer.macs * tick.per_cycle, hardware.rows * hardware.cols)
    return max(compute, Fraction(compulsory_bits(layer, hardware) * tick.per_bit))
