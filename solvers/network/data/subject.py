"""What a result is of: enough to tell it from others, and to run the same again."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnns import PROJECT, __version__
from dnns.identity import network_hash
from dnns.layer import Network
from solvers.backends.registry import DEFAULT_MILP, DEFAULT_NLP, MILP, NLP
from solvers.scenario import FROM_NETWORK, Scenario

if TYPE_CHECKING:
    from solvers.network.data.fields import SubjectData


def carries_bits(scenario: Scenario, network: Network) -> bool:
    """Whether the widths of words are the network's own."""
    return network.carries_bits and scenario.hardware.bit_width == FROM_NETWORK


def subject_dict(scenario: Scenario, network: Network, backend: str, complete: bool) -> SubjectData:
    """The network's name, file, hash, inputs and sizes, what was left out of it, and the whole scenario.

    Args:
        scenario: what was run.
        network: the network it names.
        backend: solver of the mixed-integer programs.
        complete: whether every layer has a mapping.
    """
    return {
        "network": network.name,
        "network_file": scenario.to_dict()["network"],
        "network_hash": network_hash(network),
        "inputs": {name: list(shape) for name, shape in network.inputs},
        "dims": scenario.dims,
        "batch": network.batch,
        "left_out": [
            {"name": gone.name, "op": gone.op, "reason": gone.reason, "module": gone.module}
            for gone in network.left_out
        ],
        "scenario": scenario.to_dict(),
        "version": __version__,
        "method": scenario.search_method,
        "objective": scenario.objective.model_dump(),
        "hardware": hardware_dict(scenario, network),
        "versions": versions(backend),
        "complete": complete,
    }


def hardware_dict(scenario: Scenario, network: Network) -> dict[str, Any]:
    """The machine as the scenario has it; the width that was used, if the network carries none."""
    hardware = scenario.hardware.model_dump(mode="json")
    if hardware["bit_width"] == FROM_NETWORK and not network.carries_bits:
        hardware["bit_width"] = scenario.hardware.build().bits.ifmap
    return hardware


def subject_line(scenario: Scenario, network: Network) -> str:
    """The same for the head of a table, in one line."""
    shapes = ", ".join(f"{name} {_shape(shape)}" for name, shape in network.inputs)
    digest = network_hash(network).partition(":")[2][:12]
    file = Path(scenario.network).name
    return f"{file} ({digest}), {shapes or 'no input'}, batch {network.batch}; {PROJECT} {__version__}"


def versions(backend: str = DEFAULT_MILP) -> dict[str, str]:
    """Versions of this tool and of what its numbers depend on.

    Args:
        backend: solver of the mixed-integer programs.
    """
    found = {PROJECT: __version__}
    solvers = (MILP[DEFAULT_MILP], NLP[DEFAULT_NLP], MILP[backend])
    for package in dict.fromkeys(("numpy", "pyomo", *(p for home in solvers for p in home.packages))):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _shape(shape: tuple[int, ...]) -> str:
    """A shape with what its sizes are of."""
    axes = {3: " (C H W)", 4: " (C D H W)"}.get(len(shape), "")
    return f"{' x '.join(map(str, shape))}{axes}"
