"""Which network a scenario runs: its file, what overrides it, and what a result recorded of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr

from dnns.errors import InputError
from dnns.identity import network_hash
from dnns.layer import Network
from dnns.reader import bundled, read_network
from dnns.yaml_reader.validation import StrictModel
from solvers.scenario.hardware import Positive, Shape

NETWORK_FIELDS = {"network", "input", "input_3d", "dims", "skip_unsupported"}
"""What decides which network is read."""


class NetworkChoice(StrictModel):
    """The network's part of a scenario; file names are relative to the folder of the scenario's file.

    ``source`` is the file it was read from, for messages and relative names.
    """

    network: str
    """Network: a .yaml, .txt or .onnx file, or the name of a bundled one."""
    input: Shape | None = None
    """Input shape in place of the network's own, channels first: C, (D,) H, W."""
    input_3d: Shape | None = None
    """[C, D, H, W], for text networks that turn from 2-D to 3-D."""
    dims: dict[str, Positive] | None = None
    """Sizes of an ONNX network's symbolic dimensions, by name."""
    skip_unsupported: bool = False
    """Whether to leave out operators of an ONNX network that are not supported; the result lists them."""
    source: Annotated[str, Field(repr=False)] = ""
    _recorded: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where relative file names start."""
        return Path(self.source).parent

    def recorded_as(self, recorded: dict[str, str]) -> Self:
        """The scenario of a result, which says the network's ``hash`` and the ``version`` that made it."""
        copy = self.model_copy()
        copy._recorded = recorded
        return copy

    @property
    def made_by(self) -> str:
        """The version that made the result that the scenario is of; "" if it is of none."""
        return self._recorded.get("version", "")

    @property
    def network_file(self) -> Path:
        """The network's file, or the bundled one of that name if the scenario's folder has no such file."""
        file = self.folder / self.network
        named = Path(self.network).name == self.network and not file.exists()
        return (bundled(self.network) if named else None) or file

    def read_network(self, given: Network | None = None) -> Network:
        """The network, or one that has been read already, with something to schedule.

        Raises:
            InputError: for whatever is wrong with its file, or if it has no layer with MACs.
        """
        network = given or self._read()
        if not network.layers:
            raise InputError(self.network_file, "", "has no layer with MACs, nothing to schedule")
        return network

    def _read(self) -> Network:
        network = read_network(
            self.network_file,
            input=self.input,
            input_3d=self.input_3d,
            dims=self.dims,
            skip_unsupported=self.skip_unsupported,
        )
        recorded = self._recorded.get("hash")
        if recorded and recorded != network_hash(network):
            problem = "is not what the result is of, its hash differs; --dnnfile runs it nevertheless"
            raise InputError(self.network_file, "", problem)
        return network
