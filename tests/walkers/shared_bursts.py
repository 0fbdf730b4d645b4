"""Bursts of a combined deconvolution, address by address; shares no code with ``formulation``.

Each sub-kernel has weights and an ofmap of its own in the DRAM. Where there are several rounds, the filters
of one are moved one by one: no run goes on from one to the next.
"""

from tests.walkers.bursts import run_lengths
from tests.walkers.shared_walker import Machine, taps_of


def count(axis, residue):
    """Outputs of a phase."""
    return len(range(residue, axis.out, axis.stride))


class SharedBurstMachine(Machine):
    """A run that also counts bits across the pins (``bits``), of all groups."""

    def __init__(self, deconv, hardware, mapping, ifmap, weights):
        self.bits = {"ifmap": 0, "weights": 0, "ofmap": 0}
        self.apart = len(mapping.rounds[0]) > 1 and deconv.out_channels > 1
        self.left = {}
        super().__init__(deconv, hardware, mapping, ifmap, weights)

    def crossed(self, dims, width):
        """Bits of a box: of each dimension positions, extent, and whether it is cut."""
        box, extents, cut = zip(*dims, strict=True)
        burst = 8 * self.hardware.burst_bytes
        lengths = run_lengths(tuple(map(tuple, box)), tuple(extents), tuple(cut))
        return sum(-(-n * width // burst) * burst for n in lengths)

    def map_bits(self, images, channels, axes, width):
        batch = images, self.deconv.batch, self.mapping.batch < self.deconv.batch
        ordered = [batch, channels, *axes] if self.hardware.layout == "NCHW" else [batch, *axes, channels]
        return self.crossed(ordered, width)

    def one_by_one(self, filters):
        """The filters of a round as they are moved."""
        return [[f] for f in filters] if self.apart else [filters]

    def load_ifmap(self, ci, sp):
        before, deconv = self.transfers, self.deconv
        super().load_ifmap(ci, sp)
        if self.transfers > before:
            cut = self.mapping.in_channels < deconv.in_channels
            channels = ci[1], deconv.groups * deconv.in_channels, cut
            pairs = zip(self.held["ifmap"]["hulls"], deconv.axes, self.mapping.spatial, strict=True)
            axes = [(hull, a.in_size, size * a.stride < a.out) for hull, a, size in pairs]
            self.bits["ifmap"] += self.map_bits(sp[1][0], channels, axes, self.hardware.bits.ifmap)

    def load_weights(self, ci, co):
        before, deconv = self.transfers, self.deconv
        super().load_weights(ci, co)
        if self.transfers == before:
            return
        for rs, filters in zip(self.kernels, co[1], strict=True):
            taps = 1
            for axis, residue in zip(deconv.axes, rs, strict=True):
                taps *= len(taps_of(axis, residue))
            inputs = ci[1], deconv.in_channels, self.mapping.in_channels < deconv.in_channels
            for some in self.one_by_one(filters):
                dims = (some, deconv.out_channels, self.apart), inputs, (range(taps), taps, False)
                self.bits["weights"] += self.crossed(dims, self.hardware.bits.weights)

    def visit(self, ci, co, sp):
        self.step = ci, co, sp
        super().visit(ci, co, sp)
        self.left[self.group, co[0], sp[0]] = self.left.get((self.group, co[0], sp[0]), 0) + len(ci[1])

    def open_ofmap(self, co, sp):
        reads = self.counts["ofmap_read"], self.transfers
        super().open_ofmap(co, sp)
        held = self.held["ofmap"]
        if "step" not in held:
            held["step"] = co, sp
            if (self.counts["ofmap_read"], self.transfers) > reads and self.read_again(co, sp):
                self.bits["ofmap"] += self.ofmap_bits(co, sp, self.hardware.bits.partial_sums)

    def read_again(self, co, sp):
        return self.left.get((self.group, co[0], sp[0]), 0) > 0

    def write_back(self):
        held = self.held.get("ofmap")
        super().write_back()
        if held:
            co, sp = held["step"]
            width = self.hardware.bits
            final = self.left[self.group, co[0], sp[0]] == self.deconv.in_channels
            self.bits["ofmap"] += self.ofmap_bits(co, sp, width.ofmap if final else width.partial_sums)

    def ofmap_bits(self, co, sp, width):
        deconv, total = self.deconv, 0
        for rs, filters in zip(self.kernels, co[1], strict=True):
            axes = []
            own = zip(self.outputs(rs, sp[1]), deconv.axes, rs, self.mapping.spatial, strict=True)
            for outputs, axis, residue, size in own:
                axes.append((outputs, count(axis, residue), size < count(axis, residue)))
            for some in self.one_by_one(filters):
                channels = some, deconv.groups * deconv.out_channels, self.apart
                total += self.map_bits(sp[1][0], channels, axes, width)
        return total
