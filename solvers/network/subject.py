"""What a result is of: enough to tell it from others, and to run the same again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dnns import __version__
from dnns.identity import network_hash
from dnns.layer import Network
from dnns.terminal.options import PROJECT
from solvers.scenario import FROM_NETWORK, Scenario


def carries_bits(scenario: Scenario, network: Network) -> bool:
    """Whether the widths of words are the network's own."""
    return network.carries_bits and scenario.hardware.bit_width == FROM_NETWORK


def subject_dict(scenario: Scenario, network: Network) -> dict[str, Any]:
    """The network's file, hash, inputs and sizes, what was left out of it, and the whole scenario."""
    return {
        "network_file": scenario.to_dict()["network"],
        "network_hash": network_hash(network),
        "inputs": {name: list(shape) for name, shape in network.inputs},
        "dims": scenario.dims,
        "batch": network.batch,
        "left_out": [asdict(gone) for gone in network.left_out],
        "scenario": scenario.to_dict(),
        "version": __version__,
    }


def hardware_dict(scenario: Scenario, network: Network) -> dict[str, Any]:
    """The machine as the scenario has it; the width that was used, if the network carries none."""
    hardware = scenario.hardware.model_dump(mode="json")
    if hardware["bit_width"] == FROM_NETWORK and not network.carries_bits:
        hardware["bit_width"] = scenario.hardware.build().bits.ifmap
    return hardware


def subject_line(scenario: Scenario, network: Network) -> str:
    """The same for the head of a table, in one line."""
    shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in network.inputs)
    digest = network_hash(network).partition(":")[2][:12]
    file = Path(scenario.network).name
    return f"{file} ({digest}), {shapes or 'no input'}, batch {network.batch}; {PROJECT} {__version__}"
