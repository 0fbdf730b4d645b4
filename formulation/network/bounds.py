"""What a network must move and do, whatever stays on the chip and however its layers are run."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, prod

from formulation.bounds import least_array_bits, used_weights
from formulation.hardware import Hardware
from formulation.network.graph import LayerUse, Tensor, TensorGraph
from formulation.price import energy_quanta


def compulsory_bits(graph: TensorGraph, hardware: Hardware, for_good: bool = False) -> int:
    """Trained weights once (shared ones once in all), touched words of inputs and outputs once [bits].

    Args:
        graph: the network.
        hardware: the machine.
        for_good: whether weights may stay from one inference to the next: as an inference begins, no more of
            them are there than the buffer holds.
    """
    width, bits = hardware.bits, 0
    shared: set[str] = set()
    for use in graph.layers:
        root = use.twin or use.node
        if not use.weights and (use.name != use.node or root not in shared):
            bits += used_weights(use.layer) * width.weights
        shared.add(root)
    bits = max(0, bits - hardware.buffer_bits) if for_good else bits
    for tensor in graph.tensors:
        if tensor.producer is None and tensor.stored:
            bits += _touched_bits(graph, hardware, tensor)
        elif tensor.is_output:
            bits += tensor.words * width.ofmap
    return bits


def _touched_bits(graph: TensorGraph, hardware: Hardware, tensor: Tensor) -> int:
    """What the reader that touches most of an input must fetch of it."""
    width, most = hardware.bits, 0
    for use in (graph.layers[position] for position in tensor.readers):
        for sources, bits in ((use.weights, width.weights), (use.drain_reads, width.ofmap)):
            words = sum(s.words for s in sources if s.tensor == tensor.index)
            most = max(most, min(words, tensor.words) * bits)
        most = max(most, _touched_by_ifmap(use, tensor) * width.ifmap)
    return most


def _touched_by_ifmap(use: LayerUse, tensor: Tensor) -> int:
    named = sum(s.words for s in use.ifmap if s.tensor == tensor.index)
    layer = use.layer
    touched = layer.groups * layer.in_channels * layer.batch * prod(axis.touched for axis in layer.axes)
    return min(tensor.words, ceil(Fraction(touched * named, layer.ifmap_words)))


def roofline_ticks(graph: TensorGraph, hardware: Hardware, for_good: bool = False) -> Fraction:
    """``max(MACs / (rows*cols), compulsory / bandwidth)`` in ticks; ``for_good`` as for compulsory bits."""
    tick = hardware.tick
    macs = sum(use.layer.macs for use in graph.layers)
    compute = Fraction(macs * tick.per_cycle, hardware.rows * hardware.cols)
    return max(compute, Fraction(compulsory_bits(graph, hardware, for_good) * tick.per_bit))


def least_energy_quanta(graph: TensorGraph, hardware: Hardware, for_good: bool = False) -> Fraction:
    """What all multiply-accumulates, compulsory traffic, the roofline's time and the array's ports take.

    ``for_good`` as for compulsory bits: weights that stay go to the array as often as others.
    """
    macs = sum(use.layer.macs for use in graph.layers)
    array = sum(least_array_bits(use.layer, hardware) for use in graph.layers)
    moved, latency = compulsory_bits(graph, hardware, for_good), roofline_ticks(graph, hardware, for_good)
    return Fraction(energy_quanta(hardware, macs, array, moved, latency))
