"""The report of a network as one problem: what was found, and the forms in which it is handed out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from solvers.network.data.handout import Handout
from solvers.network.data.report import flat
from solvers.network.resident.found import NetworkFound
from solvers.network.resident.plain_data import network_dict

if TYPE_CHECKING:
    from solvers.network.data.network_fields import NetworkResult

#: Columns of a row that are the whole layer's.
_OF_LAYER = ("op", "deconvolution", "stack", "on_chip", "stays", "held_bytes")
#: What stands on a layer instead of its parts if tiles are shared.
_SHARED = ("mapping", "latency_cycles", "traffic_bytes", "energy_pj", "compute_cycles", "traffic")


class NetworkReport(Handout, NetworkFound):
    """What a run found, and its forms."""

    def to_dict(self) -> NetworkResult:
        """The report as JSON has it."""
        return network_dict(self)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row per part, for tables; nested names joined with a dot."""
        for layer in self.to_dict()["layers"]:
            whole: Mapping[str, Any] = layer
            names = (*_OF_LAYER, *(_SHARED if "mapping" in whole else ()))
            above = {name: whole[name] for name in names}
            for part in whole["parts"] or [{}]:
                yield {"layer": layer["name"], **dict(flat(above | part))}
