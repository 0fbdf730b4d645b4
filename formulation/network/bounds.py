"""What a network must move and do, whatever stays on the chip and however its layers are run."""

from __future__ import annotations

from fractions import Fraction

from formulation.bounds import least_array_bits, used_weights
from formulation.hardware import Hardware, Rates
from formulation.network.graph import LayerUse, Tensor, TensorGraph
from formulation.network.needs import Reading, readings


def compulsory_bits(graph: TensorGraph, hardware: Hardware, for_good: bool = False) -> int:
    """Trained weights once (shared ones once in all), needed words of inputs and outputs once [bits].

    Of an input the words count that reach an output of the network (``formulation.network.needs``).

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
    found, _ = readings(graph)
    for tensor in graph.tensors:
        if tensor.producer is None and tensor.stored:
            bits += _touched_bits(hardware, tensor, found[tensor.index])
        elif tensor.is_output:
            bits += tensor.words * width.ofmap
    return bits


def _touched_bits(hardware: Hardware, tensor: Tensor, found: list[Reading]) -> int:
    """What the reader that needs most of an input must fetch of it."""
    width = {"ifmap": hardware.bits.ifmap, "weights": hardware.bits.weights, "drain": hardware.bits.ofmap}
    return max((min(tensor.words, r.needed.of(r.words)) * width[r.what] for r in found), default=0)


def roofline_ticks(graph: TensorGraph, hardware: Hardware, for_good: bool = False) -> Fraction:
    """``max(MACs / (rows*cols), compulsory / bandwidth)`` in ticks; ``for_good`` as for compulsory bits."""
    tick = hardware.tick
    macs = sum(use.layer.macs for use in _all_needed(graph))
    compute = Fraction(macs * tick.per_cycle, hardware.rows * hardware.cols)
    return max(compute, Fraction(compulsory_bits(graph, hardware, for_good) * tick.per_bit))


def _all_needed(graph: TensorGraph) -> list[LayerUse]:
    """The layers of whose ofmap nothing can be left out; the others may have less to do."""
    _, needs = readings(graph)
    return [use for use in graph.layers if needs[use.ofmap].whole]


def least_spent(graph: TensorGraph, hardware: Hardware, rates: Rates, for_good: bool = False) -> Fraction:
    """What all multiply-accumulates, compulsory traffic, the roofline's time and the array's ports take.

    ``for_good`` as for compulsory bits: weights that stay go to the array as often as others.
    """
    macs = sum(use.layer.macs for use in _all_needed(graph))
    array = sum(least_array_bits(use.layer, hardware) for use in _all_needed(graph))
    moved, latency = compulsory_bits(graph, hardware, for_good), roofline_ticks(graph, hardware, for_good)
    return Fraction(rates.of(macs, array, moved, latency))
