"""A deconvolution whose sub-kernels share ifmap tiles, beside a state of its operands, within a room.

As ``formulation.shared.space`` with what ``formulation.network.movement`` says of words, parts and edge: the
sub-kernels with taps run as one layer, in whose movement all of theirs is. Those without taps are written
beside it, as where the deconvolution is split. Tiles that are left out there are dominated here as well, for
everything that a state's cost is made of is non-decreasing in tiles, rounds, trips and cycles just as there.

Whether partial sums take the ofmap's tile to the edge depends on the loop order. Where they alone would
(nothing is written), the bounds leave it out, and the packing of a choice has it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dnns.layer import Deconvolution
from formulation.cost import Num, TensorBits, Traffic, Trips, footprint, traffic
from formulation.evaluation import Work
from formulation.extents import Ints
from formulation.hardware import Hardware
from formulation.mapping import Partition, Stationary
from formulation.network.movement import MovedCost, Movement
from formulation.shared.problem import SharedMapping, SharedProblem
from formulation.shared.space import SharedSpace
from formulation.space.counts import SAFE, Counts
from formulation.space.tables import SpatialTable


@dataclass(frozen=True, slots=True)
class SharedWay:
    """The sub-convolutions with taps of a deconvolution, run on shared ifmap tiles.

    Attributes:
        deconv: the deconvolution.
        movement: where its operands are; what is moved besides is that of these sub-convolutions.
        mapping: how they are run.
    """

    deconv: Deconvolution
    movement: Movement
    mapping: SharedMapping

    def work(self, hardware: Hardware) -> Work:
        """Words, cycles and tiles if nothing stays."""
        return SharedProblem(self.deconv, hardware).work(self.mapping)

    def parts(self, hardware: Hardware) -> Partition:
        """The parts of the buffer."""
        need = footprint(hardware, self.movement.parts(self.work(hardware).tile))
        return Partition(need.ifmap, need.ofmap, need.weights)

    def cost(self, hardware: Hardware) -> MovedCost:
        """What it takes and costs, in Python's integers."""
        problem = SharedProblem(self.deconv, hardware)
        return self.movement.cost(hardware, problem.kernels.macs, problem.work(self.mapping))


class MovedSharedSpace(SharedSpace):
    """All mappings with shared ifmap tiles, priced by a movement.

    Args:
        problem: the deconvolution and the machine.
        movement: where its operands are. If it is wider than the buffer, no partial sums are made.

    Attributes:
        free: bits for the parts; the whole buffer unless set.
    """

    def __init__(self, problem: SharedProblem, movement: Movement) -> None:
        self.movement, self.free = movement, problem.hardware.buffer_bits
        super().__init__(problem)

    def _channels(self) -> tuple[Ints, Ints, Ints]:
        tile, trips, cycles = super()._channels()
        if self.movement.wider <= self.free:
            return tile, trips, cycles
        whole = trips == 1
        return tile[whole], trips[whole], cycles[:, whole]

    def _counts(self) -> Counts:
        counts, width = super()._counts(), self.hardware.bits.ofmap
        more = (self.movement.written + self.movement.read) * width
        return replace(counts, bits=counts.bits + more).checked(self.problem.deconv.name)

    def parts(self, held: TensorBits) -> TensorBits:
        """The tiles that take a part of the buffer."""
        return self.movement.parts(held)

    def edge(self, held: TensorBits, spills: bool = False) -> TensorBits:
        """The tiles that move before and after the array works."""
        return self.movement.edge(held, Traffic(0, 0, 0, int(spills)))

    def room(self) -> tuple[int, TensorBits | None]:
        """Bits for one copy of all tiles; no part is given."""
        return min(self.free // self.hardware.copies, SAFE), None

    def feasible(self, held: TensorBits) -> Num:
        """Whether tiles fit the room."""
        return footprint(self.hardware, self.parts(held)).total <= self.free

    def moved_bits(self, stationary: Stationary, rounds: Num, trips_ci: Num, table: SpatialTable) -> Num:
        """Traffic [bits]: exact."""
        return self.movement.bits(self.hardware, self._words(stationary, rounds, trips_ci, table))

    def spills(self, stationary: Stationary, rounds: int, trips_ci: int, table: SpatialTable) -> bool:
        """Whether a mapping of one tile writes and reads back partial sums."""
        return bool(self._words(stationary, rounds, trips_ci, table).ofmap_read > 0)

    def _words(self, stationary: Stationary, rounds: Num, trips_ci: Num, table: SpatialTable) -> Traffic:
        n = Trips(rounds, trips_ci, table.trips)
        return traffic(self.kernels, stationary, n, table.fetched, table.slid)
