"""A reference that runs every tile on the array, fold by fold, and counts the words at its ports.

The array holds a piece of two groups of loops, on its rows and on its columns, while the third streams. Like
``tests.walkers.walker``, which it goes on from, it knows no closed form and shares no code with
``formulation``.
"""

from functools import lru_cache
from itertools import product

import numpy as np

from tests.walkers.walker import Walk, cuts


class PortWalk(Walk):
    """A walk that counts the words at the ports as well: ``port_ifmap``, ``port_weights``, ..."""

    def __init__(self, layer, hardware, mapping):
        self.port_ifmap = self.port_weights = self.port_writes = self.port_reads = 0
        super().__init__(layer, hardware, mapping)
        for name in ("port_ifmap", "port_weights", "port_writes", "port_reads"):
            setattr(self, name, layer.groups * getattr(self, name))

    def visit(self, co, ci, sp):
        super().visit(co, ci, sp)
        machine = self.hardware
        array = machine.dataflow, machine.rows, machine.cols
        words = one_tile(self.layer.axes, array, len(co[1]), len(ci[1]), tuple(sp[1]), ci[0] > 0)
        self.port_ifmap += words[0]
        self.port_weights += words[1]
        self.port_writes += words[2]
        self.port_reads += words[3]

    def energy(self, traffic_bits, latency_cycles):
        """In pJ, by the model's words."""
        width, outputs, each = self.hardware.bits, self.layer.ofmap_words, self.hardware.energy
        ports = self.port_ifmap * width.ifmap + self.port_weights * width.weights + outputs * width.ofmap
        ports += (self.port_writes - outputs + self.port_reads) * width.partial_sums
        moved = each.sram * (ports + traffic_bits) + each.dram * traffic_bits
        return each.mac * self.layer.macs + moved + each.static * latency_cycles / self.hardware.frequency


@lru_cache(maxsize=1 << 16)
def one_tile(axes, array, co, ci, dims, begun):
    """Words of ifmap, weights, ofmap out and ofmap in, of one tile of the three groups.

    Args:
        axes: of the layer.
        array: dataflow, rows, columns.
        co: output channels of the tile.
        ci: input channels.
        dims: ranges of outputs, batch first.
        begun: whether the tile's outputs have partial sums from channels before.
    """
    dataflow, rows, cols = array
    inside = np.concatenate([taps_inside(axes, dims)] * ci, axis=1)  # pixels x (channel, tap)
    pixels, reduction = inside.shape
    ifmap = weights = out = back = 0
    if dataflow == "output":
        for block, columns in product(cuts(pixels, rows), cuts(co, cols)):
            ifmap += int(inside[block].sum())
            weights += reduction * len(columns)
            out += len(block) * len(columns)
            back += len(block) * len(columns) if begun else 0
        return ifmap, weights, out, back
    across = co if dataflow == "weight" else pixels
    for part in cuts(reduction, rows):
        for columns in cuts(across, cols):
            if dataflow == "weight":  # a piece of the weights stays, pixels stream
                ifmap += int(inside[:, part].sum())
                weights += len(part) * len(columns)
                words = pixels * len(columns)
            else:  # a piece of the unfolded ifmap stays, filters stream
                ifmap += int(inside[columns][:, part].sum())
                weights += len(part) * co
                words = co * len(columns)
            out += words
            back += words if begun or part[0] > 0 else 0
    return ifmap, weights, out, back


def taps_inside(axes, dims):
    """Which taps read no padding, for each output position of a tile."""
    found = np.ones((len(dims[0]), 1), dtype=bool)
    for axis, outputs in zip(axes, dims[1:], strict=True):
        place = np.add.outer(
            np.array(outputs) * axis.stride - axis.pad_lo, np.arange(axis.kernel) * axis.dilation
        )
        along = (place >= 0) & (place < axis.in_size)
        both = found[:, None, :, None] & along[None, :, None, :]
        found = both.reshape(found.shape[0] * along.shape[0], found.shape[1] * along.shape[1])
    return found


def shared_ports(layers, hardware, mapping, grid):
    """Words at the ports where sub-convolutions share ifmap tiles: every tile of each, round by round.

    Args:
        layers: the sub-convolutions with taps, in the order of the mapping's rounds.
        hardware: the machine.
        mapping: with shared ifmap tiles.
        grid: extents of the common grid, batch first.
    """
    array = hardware.dataflow, hardware.rows, hardware.cols
    whole = [cuts(extent, size) for extent, size in zip(grid, (mapping.batch, *mapping.spatial), strict=True)]
    total = np.zeros(4, dtype=int)
    for layer, row in zip(layers, mapping.rounds, strict=True):
        extents = layer.batch, *(axis.out for axis in layer.axes)
        for dims in product(*whole):
            inside = tuple(range(d.start, min(d.stop, n)) for d, n in zip(dims, extents, strict=True))
            channels = enumerate(cuts(layer.in_channels, mapping.in_channels))
            for filters, (n, ci) in product(row, channels):
                if filters and all(inside):
                    total += layer.groups * np.array(
                        one_tile(layer.axes, array, filters, len(ci), inside, n > 0)
                    )
    return tuple(int(words) for words in total)
