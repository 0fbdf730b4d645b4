"""Layers of a result run on random integers, a line for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dnns.errors import one_line
from solvers.schedules.execution.arithmetic import run_numbers
from solvers.schedules.execution.plan import ScheduledLayer


def tried(layers: Iterable[ScheduledLayer], seed: int, limit: int) -> Iterator[tuple[str, bool]]:
    """What is to be told of each layer, and whether all is well with it.

    Args:
        layers: to run, tile by tile, and to compute directly.
        seed: of the integers.
        limit: layers of more multiply-accumulates are left out, and told.
    """
    for layer in layers:
        name = one_line(layer.name)
        if layer.unshown:
            yield f"{name}: not run: {layer.unshown}\n", True
        elif layer.macs > limit:
            yield f"{name}: not run: {layer.macs:,} MACs, more than {limit:,}\n", True
        else:
            found = run_numbers(layer, seed)
            yield "".join(f"{name}: {line}\n" for line in found.told), found.good
