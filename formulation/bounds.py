"""Bounds that no mapping can beat: compulsory traffic and the roofline."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from dnns.layer import Layer
from formulation.hardware import Hardware


def compulsory_bits(layer: Layer, hardware: Hardware) -> int:
    """Each ifmap word that some tap touches, each weight and each ofmap word, once [bits]."""
    touched = layer.groups * layer.in_channels * layer.batch * prod(axis.touched for axis in layer.axes)
    width = hardware.bits
    return touched * width.ifmap + layer.weight_words * width.weights + layer.ofmap_words * width.ofmap


def roofline_ticks(layer: Layer, hardware: Hardware) -> Fraction:
    """``max(MACs / (rows*cols), compulsory / bandwidth)`` in ticks of ``hardware.tick``."""
    tick = hardware.tick
    compute = Fraction(layer.macs * tick.per_cycle, hardware.rows * hardware.cols)
    return max(compute, Fraction(compulsory_bits(layer, hardware) * tick.per_bit))
