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

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """What one kernel is to ``cost.array_traffic``: its weights, and the outputs that all steps compute."""

    groups: int
    weight_words: int
    ofmap_words: Num


@dataclass(frozen=True, slots=True)
class KernelWork:
    """One kernel in the steps of some cuts.

    Attributes:
        computed: its weights and outputs.
        macs: multiply-accumulates.
        reads: ifmap words of one pass.
        weight_passes: how often the weights go to the array.
    """

    computed: _Computed
    macs: Num
    reads: Num
    weight_passes: Num


def layer_work(
    cuts: Cuts, layer: int, picks: Sequence[Ints], factors: Sequence[Ints]
) -> tuple[KernelWork, ...]:
    """Each kernel of a layer, for each cut.

    Args:
        cuts: of the stack.
        layer: the layer.
        picks: the cuts.
        factors: of each kernel's cycles, ``Cuts.passes``; where they are less, so is what follows.
    """
    operator, batch, found = cuts.stack.layers[layer], cuts.stack.batch, []
    for number, (kernel, passes) in enumerate(zip(kernels(operator), factors, strict=True)):
        axes = [(axis.kernels[layer][number], pick) for axis, pick in zip(cuts.tables, picks, strict=True)]
        pixels = batch * prod(x.outputs[pick] for x, pick in axes)
        trips = batch * prod(x.busy[pick] for x, pick in axes)
        reads = batch * prod(x.reads[pick] for x, pick in axes)
        outputs = kernel.groups * kernel.out_channels * pixels
        found.append(
            KernelWork(
                _Computed(kernel.groups, kernel.weight_words, outputs),
                outputs * (kernel.in_channels * kernel.taps),
                kernel.groups * kernel.in_channels * reads,
                array_passes(cuts.hardware, Group.SP, trips, passes),
            )
        )
    return tuple(found)


def array_bits(hardware: Hardware, work: Sequence[KernelWork], held: WeightFigures) -> Ints:
    """Bits of a layer between buffer and array with its weights held in each of some ways: cuts x ways."""
    total = np.zeros((1, len(held.room)), dtype=np.int64)
    for number, one in enumerate(work):
        outputs = replace(one.computed, ofmap_words=one.computed.ofmap_words[:, None])
        trips = Trips(held.ifmap_passes[number], held.ofmap_passes[number], one.weight_passes[:, None])
        total = total + array_traffic(outputs, one.reads[:, None], trips).bits(hardware)
    return total


def spent(rates: Rates, macs: Num, array: Num, traffic: Ints, latency: Num) -> Num:
    """What many cuts spend [quanta], as Python's integers where 64 bits might not hold it."""
    ticks = latency.astype(object) if rates.tick else np.zeros_like(traffic)
    most = (max(map(int, np.ravel(x)), default=0) for x in (macs, array, traffic, ticks))
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
        macs += int(sum(one.macs[0] for one in work))
        array += int(array_bits(hardware, work, WeightFigures.of([held]))[0, 0])
    return macs, array
