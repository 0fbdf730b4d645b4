"""Known answers: every mapping of a small problem, counted by the reference machines, which share no code."""

from dataclasses import replace
from functools import cache
from itertools import product
from math import ceil

import numpy as np

from formulation.deconv import split
from formulation.hardware import Halo
from formulation.mapping import Mapping, Stationary, Tile
from formulation.shared.problem import SharedMapping
from tests.walkers.bursts import BurstWalk
from tests.walkers.ports import PortWalk, shared_ports
from tests.walkers.shared_walker import Machine, taps_of
from tests.walkers.stream_walker import STREAMED, StreamWalk
from tests.walkers.walker import Walk


class BurstPortWalk(BurstWalk, PortWalk):
    """Bursts and the array's ports."""


#: By whether bursts are counted, and energy.
WALKS = {
    (False, False): Walk,
    (False, True): PortWalk,
    (True, False): BurstWalk,
    (True, True): BurstPortWalk,
}
TENSORS = ("ifmap", "ofmap", "weights")


def sliding_axes(hardware, axes):
    return [None, *(range(len(axes)) if hardware.halo is Halo.REUSE else ())]


def sizes(*extents):
    return product(*(range(1, extent + 1) for extent in extents))


def layer_prices(layer, hardware, partition, *, summed=False):
    """Latency [cycles], traffic [bits] and energy [pJ; None unless asked for] of every mapping that fits."""
    return prices(hardware, partition, layer_runs(layer, replace(hardware, transfer_setup=0), summed))


def shared_prices(deconv, hardware, partition, *, summed=False):
    """The same of every tile, loop order and packing of filters into rounds."""
    return prices(hardware, partition, shared_runs(deconv, replace(hardware, transfer_setup=0), summed))


@cache
def prices(hardware, partition, runs):
    return frozenset(price(hardware, partition, *run) for run in runs) - {None}


def every_mapping(layer, machine):
    """All tiles, loop orders and sliding axes; in every cut too, if the machine streams."""
    extents = layer.out_channels, layer.in_channels, layer.batch, *(a.out for a in layer.axes)
    for co, ci, n, *spatial in sizes(*extents):
        tile = Tile(co, ci, n, tuple(spatial))
        for order, slide in product(Stationary, sliding_axes(machine, layer.axes)):
            yield Mapping(tile, order, slide)
            for group in ("co", "ci", "sp") if machine.streaming else ():
                if (str(order), group) in STREAMED:
                    yield from (Mapping(tile, order, slide, inner) for inner in cuts_of(tile, group))


def cuts_of(tile, group):
    if group == "co":
        return [replace(tile, out_channels=size) for size in range(1, tile.out_channels)]
    if group == "ci":
        return [replace(tile, in_channels=size) for size in range(1, tile.in_channels)]
    each = sizes(tile.batch, *tile.spatial)
    return [
        inner for n, *spatial in each if (inner := replace(tile, batch=n, spatial=tuple(spatial))) != tile
    ]


@cache
def layer_runs(layer, hardware, summed):
    """Words, transfers, largest tiles, cycles, and energy of MACs and the array's ports, of every mapping."""
    found = set()
    kind = StreamWalk if hardware.streaming else WALKS[bool(hardware.burst_bytes), summed]
    for mapping in every_mapping(layer, hardware):
        walk = kind(layer, hardware, mapping)
        words = walk.ifmap, walk.weights, walk.writes, walk.reads
        words += (0 if hardware.streaming else walk.transfers,)  # with streaming there are no set-ups
        words += (sum(walk.bits.values()) if hardware.burst_bytes else None,)
        some = (mapping.inner or mapping.tile).in_channels < layer.in_channels
        largest = tuple(walk.largest[name] for name in TENSORS)
        apart = walk.energy(0, 0) if summed else None
        found.add((words, largest, walk.compute, layer.ofmap_words, some, apart))
    return frozenset(found)


@cache
def shared_runs(deconv, hardware, summed):
    found = set()
    shapes = [(deconv.batch, deconv.in_channels), (deconv.in_channels, deconv.out_channels)]
    ifmap, weights = (
        np.zeros((deconv.groups, *shape, *(getattr(a, size) for a in deconv.axes)), dtype=int)
        for shape, size in zip(shapes, ("in_size", "kernel"), strict=True)
    )
    residues = product(*(range(min(a.stride, a.out)) for a in deconv.axes))
    kernels = [r for r in residues if all(taps_of(a, i) for a, i in zip(deconv.axes, r, strict=True))]
    outputs = deconv.groups * deconv.batch * deconv.out_channels
    outputs *= sum(
        np.prod([len(range(i, a.out, a.stride)) for a, i in zip(deconv.axes, r, strict=True)])
        for r in kernels
    )
    extents = deconv.in_channels, deconv.batch, *(ceil(a.out / a.stride) for a in deconv.axes)
    for ci, n, *spatial in sizes(*extents):
        choices = product(Stationary, sliding_axes(hardware, deconv.axes))
        for (order, slide), rounds in product(choices, packings(deconv.out_channels, len(kernels))):
            mapping = SharedMapping(ci, n, tuple(spatial), rounds, order, slide)
            run = Machine(deconv, hardware, mapping, ifmap, weights)
            words = tuple(run.counts[name] for name in ("ifmap", "weights", "ofmap_write", "ofmap_read"))
            words += run.transfers, None
            some = ci < deconv.in_channels
            largest = tuple(run.largest[name] for name in TENSORS)
            apart = spent_apart(deconv, hardware, mapping) if summed else None
            found.add((words, largest, run.compute, int(outputs), some, apart))
    return frozenset(found)


def spent_apart(deconv, hardware, mapping):
    """Energy of the MACs and the array's ports with shared tiles [pJ]."""
    layers = [sub.layer for sub in split(deconv) if sub.layer is not None]
    grid = deconv.batch, *(ceil(a.out / a.stride) for a in deconv.axes)
    ifmap, weights, out, back = shared_ports(layers, hardware, mapping, grid)
    width, each = hardware.bits, hardware.energy
    outputs = sum(layer.ofmap_words for layer in layers)
    bits = ifmap * width.ifmap + weights * width.weights + outputs * width.ofmap
    bits += (out - outputs + back) * width.partial_sums
    return each.mac * sum(layer.macs for layer in layers) + each.sram * bits


def packings(filters, kernels):
    """All ways to deal the filters of each sub-kernel to rounds, none of them empty, in any one order."""
    found = set()
    for count in range(1, filters * kernels + 1):
        rows = [row for row in product(range(filters + 1), repeat=count) if sum(row) == filters]
        for matrix in product(rows, repeat=kernels):
            rounds = sorted(zip(*matrix, strict=True))
            if all(map(any, rounds)):
                found.add(tuple(zip(*rounds, strict=True)))
    return sorted(found)


def price(hardware, partition, words, largest, compute, outputs, partial_sums, apart):
    """Latency, traffic and energy by the model's words; None if the largest tiles do not fit."""
    width = hardware.bits
    ifmap, weights, writes, reads, transfers, crossed = words
    bits = ifmap * width.ifmap + weights * width.weights + outputs * width.ofmap
    bits += (writes - outputs + reads) * width.partial_sums
    bits = bits if crossed is None else crossed
    widths = width.ifmap, width.partial_sums if partial_sums else width.ofmap, width.weights
    held = [size * bit for size, bit in zip(largest, widths, strict=True)]
    bank = 8 * hardware.bank_bytes if hardware.bank_bytes else 1
    need = [ceil((2 if hardware.double_buffered else 1) * part / bank) * bank for part in held]
    if partition is None:
        fits = sum(need) <= 8 * hardware.buffer_bytes // bank * bank
    else:
        fits = all(n <= part for n, part in zip(need, partition.parts, strict=True))
    if not fits:
        return None
    per_cycle = 8 * hardware.bandwidth / hardware.frequency
    moving = bits / per_cycle + transfers * hardware.transfer_setup
    latency = compute + moving
    if hardware.double_buffered:
        edge = sum(held) / per_cycle + 3 * hardware.transfer_setup
        latency = max(compute + edge, moving)
    each = hardware.energy
    moved = (each.sram + each.dram) * bits + each.static * latency / hardware.frequency
    return latency, bits, None if apart is None else apart + moved
