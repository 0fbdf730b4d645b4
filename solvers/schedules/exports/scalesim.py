"""Files of SCALE-Sim 3: configuration, topology and layout, with the tiles of a mapping as layers.

SCALE-Sim runs a layer on the array and has no loops over tiles. So each kind of tile is a layer of its own;
``tiles.csv`` says how often each runs. The sum of their cycles stands beside the mapping's compute cycles.
"""

from __future__ import annotations

import configparser
from collections import Counter
from io import StringIO
from itertools import product
from math import ceil, prod
from typing import Any

from dnns.axes import Axis
from formulation.hardware import Dataflow
from solvers.schedules.exports.nest import ExportNest, LoopDimension
from solvers.schedules.exports.texts import INNER_STEPS, csv_text

TOPOLOGY = (
    *("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width"),
    *("Channels", "Num Filter", "Strides", ""),  # its reader leaves out what is behind the last comma
)
LAYOUT_COLUMNS = 20
"""Numbers in a row of a layout; they matter only for layouts of one's own, which are off here."""
_FLOWS = {Dataflow.OUTPUT: "os", Dataflow.WEIGHT: "ws", Dataflow.INPUT: "is"}
_ONE = Axis(out=1)

Kind = tuple[int, ...]
"""Extents of a tile, in the order of the dimensions."""


def obstacle(nest: ExportNest) -> str | None:
    """Why SCALE-Sim has no such tiles, None if it has."""
    if nest.cut:
        return f"{INNER_STEPS}: not written for SCALE-Sim"
    layer, tile = nest.layer, nest.mapping.tile
    if len(layer.axes) > 2:
        return "three spatial axes: SCALE-Sim has two"
    if any(axis.dilation > 1 and axis.kernel > 1 for axis in layer.axes):
        return "dilation: SCALE-Sim has none"
    strides = {axis.stride for axis in layer.axes if axis.out > 1}
    if len(strides) > 1:
        return f"strides {' and '.join(map(str, sorted(strides)))}: SCALE-Sim has one for both axes"
    if tile.batch > 1 and any(d.windowed for d in nest.outer):
        return f"tiles of {tile.batch} images: SCALE-Sim's layers are of one"
    return None


def files(nest: ExportNest) -> dict[str, str]:
    """The files' texts by name."""
    kinds = {f"tile{i}": kind for i, kind in enumerate(_kinds(nest).items())}
    names = [d.name for d in nest.outer]
    topology = [_row(nest, name, dict(zip(names, kind, strict=True))) for name, (kind, _) in kinds.items()]
    counts = [(name, count, *kind) for name, (kind, count) in kinds.items()]
    zeros = [(name, *([0] * LAYOUT_COLUMNS), "") for name in kinds]
    return {
        "scale.cfg": _configuration(nest),
        "topology.csv": csv_text(TOPOLOGY, topology),
        "layout.csv": csv_text(("Layer name", *map(str, range(LAYOUT_COLUMNS)), ""), zeros),
        "tiles.csv": csv_text(("Layer name", "runs", *names), counts),
    }


def _kinds(nest: ExportNest) -> Counter[Kind]:
    """How often each kind of tile runs: whole and last ones of each dimension, in every combination."""
    kinds: Counter[Kind] = Counter()
    for combination in product(*map(_sizes, nest.outer)):
        kinds[tuple(size for size, _ in combination)] += prod(count for _, count in combination)
    return kinds


def _sizes(d: LoopDimension) -> list[tuple[int, int]]:
    """Sizes of a dimension's tiles and how many there are of each."""
    return [(size, n) for size, n in ((d.tile, d.trips - 1), (d.edge, 1)) if n]


def _row(nest: ExportNest, name: str, size: dict[str, int]) -> tuple[Any, ...]:
    """A tile as a layer: its ifmap is what its outputs read, padding included.

    Several images stand below one another; they are no windows then (``obstacle``).
    """
    axes = nest.layer.axes
    down = (axes[0] if len(axes) == 2 else _ONE, size.get("P", 1) * size["N"])
    across = (axes[-1], size["Q"])
    spans = [(n - 1) * axis.stride + axis.effective_kernel for axis, n in (down, across)]
    stride = max(axis.stride if axis.out > 1 else 1 for axis in axes)
    return (name, *spans, down[0].kernel, across[0].kernel, size["C"], size["M"], stride, "")


def _configuration(nest: ExportNest) -> str:
    hardware = nest.hardware
    bits, parts = hardware.bits, nest.cost.footprint
    config = configparser.ConfigParser()
    config.optionxform = str  # type: ignore[method-assign, assignment]
    config["general"] = {"run_name": "run"}
    config["architecture_presets"] = {
        "ArrayHeight": str(hardware.rows),
        "ArrayWidth": str(hardware.cols),
        "IfmapSramSzkB": _kwords(parts.ifmap, bits.ifmap),
        "FilterSramSzkB": _kwords(parts.weights, bits.weights),
        "OfmapSramSzkB": _kwords(parts.ofmap, bits.partial_sums),
        "IfmapOffset": "0",
        "FilterOffset": "10000000",
        "OfmapOffset": "20000000",
        "Dataflow": _FLOWS[hardware.dataflow],
        "Bandwidth": str(ceil(hardware.bytes_per_cycle * 8 / bits.ifmap)),
        "ReadRequestBuffer": "64",
        "WriteRequestBuffer": "64",
    }
    bank = {"Bandwidth": "10", "Num": "10", "Port": "2"}
    config["layout"] = {
        f"{tensor}{key}": value
        for tensor in ("Ifmap", "Filter")
        for key, value in (("CustomLayout", "False"), *((f"SRAMBank{k}", v) for k, v in bank.items()))
    }
    config["sparsity"] = {"SparsitySupport": "false"}
    config["run_presets"] = {"InterfaceBandwidth": "CALC", "UseRamulatorTrace": "False"}
    text = StringIO()
    config.write(text)
    return text.getvalue()


def _kwords(bits: int, width: int) -> str:
    """A part of the buffer in units of 1024 words, which SCALE-Sim calls kB: its words are bytes."""
    return str(max(1, ceil(bits / width / 1024)))
