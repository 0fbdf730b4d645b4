"""What a fused stack spends: each step's rows are a spatial tile of their layer, and go to the array as such.

Of every kernel of a layer, with the channel tile in which its weights lie (all channels if they are kept):

    MACs    = Ci * taps * (outputs that the steps compute)
    array   = reads * ifmap passes + W * weight passes + outputs * ofmap passes     (``cost.array_traffic``)
    spent   = Rates.of these, the traffic and the latency of the stack

``reads`` are the pairs of an output that a step computes and a tap that reads no padding, times Ci; what
several strips compute counts as often. Weights go to the array once for each pass of a step's pixels, or once
a step if pixels stream through it. Weights that are kept have the fewest passes there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from formulation.cost import Num, Trips, array_passes, array_traffic
from formulation.extents import Ints
from formulation.hardware import Hardware, Rates
from formulation.mapping import Group
from formulation.network.stacks.cost import Cuts, Schedule, schedule_cuts
from formulation.network.stacks.stack import Stack
from formulation.network.stacks.tables import kernels
from formulation.network.stacks.weights import WeightFigures
from formulation.space.counts import SAFE


@dataclass(frozen=True, slots=True)
class _Computed:
    """What kernels are to ``cost.array_traffic``: their weights, and the outputs that all steps compute."""

    groups: int
    weight_words: Num
    ofmap_words: Num


@dataclass(frozen=True, slots=True)
class LayerWork:
    """The kernels of a layer in the steps of some cuts: arrays of kernels x cuts.

    Attributes:
        computed: their weights and outputs.
        macs: multiply-accumulates.
        reads: ifmap words of one pass.
        weight_passes: how often the weights go to the array.
    """

    computed: _Computed
    macs: Ints
    reads: Ints
    weight_passes: Ints


def layer_work(cuts: Cuts, layer: int, picks: Sequence[Ints], factors: Sequence[Ints]) -> LayerWork:
    """What the kernels of a layer do, for each cut.

    Args:
        cuts: of the stack.
        layer: the layer.
        picks: the cuts.
        factors: of each kernel's cycles, ``Cuts.passes``; where they are less, so is what follows.
    """
    parts, batch = kernels(cuts.stack.layers[layer]), cuts.stack.batch
    found = np.zeros((3, len(parts), len(picks[0])), dtype=np.int64)  # outputs, reads, trips
    for number in range(len(parts)):
        axes = [(axis.kernels[layer][number], pick) for axis, pick in zip(cuts.tables, picks, strict=True)]
        found[0, number] = batch * prod(x.outputs[pick] for x, pick in axes)
        found[1, number] = batch * prod(x.reads[pick] for x, pick in axes)
        found[2, number] = batch * prod(x.busy[pick] for x, pick in axes)
    pixels, reads, trips = found

    def each(values: Iterable[int]) -> Ints:
        return np.array(list(values), dtype=np.int64)[:, None]

    outputs = each(part.groups * part.out_channels for part in parts) * pixels
    passes = np.stack(factors) if parts else trips
    return LayerWork(
        _Computed(1, each(part.weight_words for part in parts), outputs),
        outputs * each(part.in_channels * part.taps for part in parts),
        each(part.groups * part.in_channels for part in parts) * reads,
        array_passes(cuts.hardware, Group.SP, trips, passes),
    )


def array_bits(hardware: Hardware, work: LayerWork, held: WeightFigures) -> Ints:
    """Bits of a layer between buffer and array with its weights held in each of some ways: cuts x ways.

    They are linear in the passes of each tensor, of which the ways differ in those of ifmap and ofmap.
    """

    def bits(co: int, ci: int, sp: Num) -> Ints:
        return np.asarray(array_traffic(work.computed, work.reads, Trips(co, ci, sp)).bits(hardware))

    none = bits(0, 0, 0)
    ifmap, ofmap = bits(1, 0, 0) - none, bits(0, 1, 0) - none
    varied = ifmap.T @ held.ifmap_passes + ofmap.T @ held.ofmap_passes
    return np.asarray(bits(0, 0, work.weight_passes).sum(axis=0)[:, None] + varied)


def spent(rates: Rates, macs: Num, array: Num, traffic: Ints, latency: Num) -> Num:
    """What many cuts spend [quanta], as Python's integers where 64 bits might not hold it."""
    ticks = latency.astype(object) if rates.tick else np.zeros_like(traffic)
    most = (int(np.max(x, initial=0)) for x in (macs, array, traffic, ticks))
    if rates.of(*most) >= SAFE or (rates.tick and ticks.dtype == object):
        macs, array, traffic = (np.asarray(x).astype(object) for x in (macs, array, traffic))
    return rates.of(macs, array, traffic, ticks)


def stack_work(
    stack: Stack, hardware: Hardware, schedule: Schedule, stays: frozenset[int]
) -> tuple[int, int]:
    """MACs of one schedule, and its bits between buffer and array; errors as of ``stack_cost``."""
    cuts, picks, weights = schedule_cuts(stack, hardware, schedule, stays)
    macs = array = 0
    for layer, held in enumerate(weights):
        work = layer_work(cuts, layer, picks, cuts.passes(layer, picks))
        macs += int(work.macs.sum())
        array += int(array_bits(hardware, work, WeightFigures.of([held]))[0, 0])
    return macs, array
