"""What is to be solved of a network: its layers, cut into parts, and the machine as it concerns each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from dnns.errors import InputError
from dnns.layer import Layer, Network, Node, Operator
from formulation.deconv import Treatment, naive, split, unique_layers
from formulation.hardware import BitWidths, Hardware
from formulation.pricing.objective import Objective
from solvers.network.data.subject import carries_bits
from solvers.scenario import FROM_NETWORK, Scenario


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a layer that is solved by itself.

    Attributes:
        name: of the layer, with the phases of the first sub-convolution behind it.
        layer: the convolution, None for outputs that no tap reaches and that are only written.
        count: how many identical ones run one after another in one run of the layer.
        ofmap_words: outputs of one of them.
        phases: residues of each sub-convolution that the part stands for.
        objective: what is minimised for it in place of the scenario's objective, None for that.
    """

    name: str
    layer: Layer | None
    count: int
    ofmap_words: int
    phases: tuple[str, ...] = ()
    objective: Objective | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A layer of the network, how it is cut into parts, and the machine as far as it is concerned.

    Attributes:
        node: of the network.
        parts: its pieces.
        machine: with the layer's own word widths, if the network carries them.
    """

    node: Node
    parts: tuple[Part, ...]
    machine: Hardware

    @property
    def operator(self) -> Operator:
        """Its layer."""
        assert self.node.layer is not None
        return self.node.layer


def plan_of(network: Network, scenario: Scenario) -> tuple[Planned, ...]:
    """The layers of a network as a scenario runs them."""
    machine, own = _first(scenario.hardware.build()), carries_bits(scenario, network)
    return tuple(
        Planned(
            node,
            parts_of(node.layer, scenario.treatment, scenario.hardware.padding == "counted"),
            replace(machine, bits=BitWidths(*node.bits)) if own and node.bits else machine,
        )
        for node in network.nodes
        if node.layer is not None
    )


@lru_cache(maxsize=256)
def _first(machine: Hardware) -> Hardware:
    """The first of all that are equal: a sweep compares them often, and an object with itself at once."""
    return machine


def network_machine(network: Network, scenario: Scenario) -> Hardware:
    """The machine for a network as one problem, whose words must be as wide in every layer.

    Raises:
        InputError: if the network carries widths that differ from layer to layer.
    """
    machine = scenario.hardware.build()
    if not carries_bits(scenario, network):
        return machine
    widths = {node.bits for node in network.nodes if node.bits is not None}
    if len(widths) > 1:
        level = scenario.network_level
        problem = f"got {FROM_NETWORK}, but they differ between layers; give one for network_level {level}"
        raise InputError(scenario.network_file, "bit_width", problem)
    return replace(machine, bits=BitWidths(*widths.pop()))


@lru_cache(maxsize=1024)
def parts_of(operator: Operator, treatment: Treatment, stored: bool = False) -> tuple[Part, ...]:
    """The pieces of a layer: itself, or a deconvolution zero-inserted or split.

    Args:
        operator: the layer.
        treatment: of deconvolutions.
        stored: whether padding is data.
    """
    if stored:
        return tuple(
            replace(part, layer=replace(part.layer, axes=tuple(axis.stored for axis in part.layer.axes)))
            if part.layer
            else part
            for part in parts_of(operator, treatment)
        )
    if isinstance(operator, Layer):
        return (Part(operator.name, operator, 1, operator.ofmap_words),)
    if treatment is Treatment.NAIVE:
        return (Part(operator.name, naive(operator), 1, operator.ofmap_words),)
    subs = split(operator)
    parts = []
    for layer, alike in unique_layers(subs):
        parts.append(Part(layer.name, layer, len(alike), layer.ofmap_words, tuple(s.name for s in alike)))
    for sub in subs:
        if sub.layer is None:
            parts.append(Part(f"{operator.name}/{sub.name}", None, 1, sub.ofmap_words, (sub.name,)))
    return tuple(parts)
