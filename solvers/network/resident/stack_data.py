"""Fused stacks as plain data: their bands and strips, and each layer's part of what they move and compute."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from formulation.network.stacks.cost import stack_cost
from formulation.network.stacks.search.frontier import StackWay
from formulation.network.stacks.shares import LayerShare, layer_shares, map_rooms
from formulation.network.stacks.weights import weights_of
from solvers.network.data.geometry import geometry
from solvers.network.resident.found import NetworkFound
from solvers.result import number

if TYPE_CHECKING:
    from solvers.network.data.network_fields import ChannelTileData, PieceData, StackData


def stack_dict(report: NetworkFound, name: str, way: StackWay) -> StackData:
    """A stack as JSON has it."""
    machine, stack, pieces = report.hardware, way.stack, way.schedule.pieces
    cost = stack_cost(stack, machine, way.schedule, way.stays)
    extents = stack.maps[stack.root].extents
    rooms = map_rooms(stack, machine, way.schedule, way.stays)
    return {
        "name": name,
        "layers": [use.name for use in report.graph.layers[stack.first : stack.last + 1]],
        "band_rows": pieces[0],
        "strip_sizes": list(pieces[1:]),
        "bands": -(-extents[0] // pieces[0]),
        "strips": [-(-extent // size) for extent, size in zip(extents[1:], pieces[1:], strict=True)],
        "buffer": [
            {"map": made.name, "kind": made.kind.value, "bytes": number(Fraction(room, 8))}
            for made, room in zip(stack.maps, rooms, strict=True)
        ],
        "buffer_bytes": number(Fraction(cost.room, 8)),
        "compute_cycles": cost.compute_cycles,
        "latency_cycles": number(machine.tick.cycles(cost.latency_ticks)),
        "traffic_bytes": number(Fraction(cost.traffic_bits, 8)),
        "energy_pj": number(way.cost(machine).energy_pj(machine)),
    }


def stacked_parts(report: NetworkFound, way: StackWay) -> Iterator[PieceData]:
    """For each layer of a stack its only part: how its weights are held, and what it moves and computes.

    The latency is the stack's; a layer has none of its own.
    """
    machine, stack = report.hardware, way.stack
    shares = layer_shares(stack, machine, way.schedule, way.stays)
    uses = report.graph.layers[stack.first : stack.last + 1]
    for use, tile, share in zip(uses, way.schedule.tiles, shares, strict=True):
        held = weights_of(use.layer, machine, tile, stack.resident)
        streamed: ChannelTileData | None = None
        if tile is not None:
            streamed = {"out_channels": tile[0], "in_channels": tile[1]}
        yield {
            "name": use.name,
            "groups": use.layer.groups,
            "count": 1,
            "geometry": geometry(use.layer),
            "mapping": None,
            "weights": {"kept": held.kept, "tile": streamed, "bytes": number(Fraction(held.room, 8))},
            "compute_cycles": share.compute_cycles,
            "traffic": _words(report, share),
            "latency_cycles": None,
            "traffic_bytes": number(Fraction(share.traffic_bits, 8)),
            "energy_pj": None,
        }


def _words(report: NetworkFound, share: LayerShare) -> dict[str, int]:
    width = report.hardware.bits
    return {
        "ifmap": share.ifmap // width.ifmap,
        "weights": share.weights // width.weights,
        "ofmap_write": share.written // width.ofmap,
        "ofmap_read": 0,
        "drain_read": share.read // width.ofmap,
    }
