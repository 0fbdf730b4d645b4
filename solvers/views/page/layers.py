"""A result's layers as the page shows them: a row of the table each, and what is told of the chosen one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from solvers.views.page.nest import loop_nest
from solvers.views.page.tiles import planes, rooms

Data = Mapping[str, Any]

#: Columns of the table of layers: key, heading, unit, how it is written.
LAYER_COLUMNS = (
    ("name", "layer", "", "text"),
    ("op", "operator", "", "text"),
    ("macs", "MACs", "M", "millions"),
    ("tile", "tile", "co x ci x sp", "text"),
    ("stationary", "stationary", "", "text"),
    ("latency", "latency", "kcycles", "thousands"),
    ("time_share", "of time", "%", "percent"),
    ("traffic", "traffic", "kB", "thousands"),
    ("traffic_share", "of traffic", "%", "percent"),
    ("array", "array busy", "%", "percent"),
    ("buffer", "buffer used", "%", "percent"),
    ("gap", "gap", "%", "percent2"),
)
_WIDE = (*LAYER_COLUMNS[:5], ("stack", "stack", "", "text"), ("stays", "stays", "", "text"))
NETWORK_COLUMNS = (*_WIDE, *(column for column in LAYER_COLUMNS[5:] if column[0] != "gap"))
"""The same of a network as one problem, whose gap is the network's."""


def layer_views(result: Data) -> list[dict[str, Any]]:
    """One for each layer, in order: ``row`` of the table, ``facts``, ``pieces`` with nest and picture."""
    totals, machine = result["totals"], result["hardware"]
    stacks = {stack["name"]: stack for stack in result.get("stacks", ())}
    members = {name: [layer for layer in result["layers"] if layer.get("stack") == name] for name in stacks}
    found = []
    for layer in result["layers"]:
        stack = stacks.get(layer.get("stack") or "")
        band = members[stack["name"]] if stack else ()
        pieces = list(_pieces(layer, machine, stack, band))
        row = _row(layer, machine, totals, stack, band)
        row["buffer"] = max((_used(piece["rooms"], machine) for piece in pieces), default=None)
        found.append({"row": row, "facts": list(_facts(layer, stack)), "pieces": pieces})
    return found


def array_size(machine: Data) -> tuple[int, int]:
    """Rows and columns of the array."""
    size = machine["sa_size"]
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _used(found: Sequence[Data], machine: Data) -> float:
    return float(sum(room["bytes"] for room in found if room["kind"] != "free") / machine["bufsize"])


def _row(
    layer: Data, machine: Data, totals: Data, stack: Data | None, band: Sequence[Data]
) -> dict[str, Any]:
    """The numbers of a layer; of a stack's layer, latency, share of time and array are the whole stack's."""
    latency = stack["latency_cycles"] if stack else layer["latency_cycles"]
    traffic = layer["traffic_bytes"]
    work = sum(member["macs"] for member in band) if stack else layer["macs"]
    busy = work / (prod(array_size(machine)) * latency) if latency else None
    return {
        "name": layer["name"],
        "op": " ".join(word for word in (layer["op"], layer["deconvolution"]) if word),
        "macs": layer["macs"],
        "tile": _tile(layer),
        "stationary": _stationary(layer),
        "latency": latency,
        "time_share": _share(latency, totals["latency_cycles"]),
        "traffic": traffic,
        "traffic_share": _share(traffic, totals["traffic_bytes"]),
        "array": busy,
        "gap": _gap(layer),
        "stack": layer.get("stack") or "",
        "stays": ", ".join(layer.get("stays", ())),
    }


def _share(value: float | None, total: float) -> float | None:
    return None if value is None or not total else value / total


def _gap(layer: Data) -> float | None:
    """The greatest of its pieces; None if a piece has none."""
    gaps = [layer["gap"]] if "gap" in layer else [part.get("gap") for part in layer["parts"]]
    known = [gap for gap in gaps if gap is not None]
    return max(known) if known and len(known) == len(gaps) else None


def _mapped(layer: Data) -> list[Data]:
    """What has a mapping of its own: the layer if its sub-convolutions share tiles, else its parts."""
    owners = [layer] if "mapping" in layer else layer["parts"]
    return [owner for owner in owners if owner.get("mapping")]


def _tile(layer: Data) -> str:
    mapped = _mapped(layer)
    if len(mapped) != 1:
        return f"{len(mapped)} parts" if mapped else ""
    tile = mapped[0]["mapping"]["tile"]
    sizes = [tile.get("out_channels", "rounds"), tile["in_channels"], *tile["spatial"]]
    if tile["batch"] > 1:
        sizes.insert(0, f"n{tile['batch']}")
    return " x ".join(map(str, sizes))


def _stationary(layer: Data) -> str:
    return ", ".join(dict.fromkeys(owner["mapping"]["stationary"] for owner in _mapped(layer)))


def _facts(layer: Data, stack: Data | None) -> Iterator[tuple[str, Any, str]]:
    """What is told of a layer besides: a name, a value, how it is written."""
    yield "operator", " ".join(w for w in (layer["op"], layer["deconvolution"]) if w), "text"
    yield "shape", shape_text(layer["geometry"]), "text"
    yield "MACs", layer["macs"], "whole"
    if stack is not None:
        yield f"cycles of the stack {stack['name']}", stack["latency_cycles"], "whole"
    else:
        yield "cycles", layer["latency_cycles"], "whole"
    yield "DRAM traffic, bytes", layer["traffic_bytes"], "whole"
    for key, name in (
        ("compulsory_bytes", "compulsory, bytes"),
        ("least_communication_bytes", "least communication, bytes"),
        ("bytes_needed", "bytes that its smallest tile needs"),
        ("energy_pj", "energy, pJ"),
    ):
        if layer.get(key) is not None:
            yield name, layer[key], "whole"
    for key, name in (("on_chip", "reads on the chip"), ("stays", "stays on the chip")):
        if layer.get(key):
            yield name, ", ".join(layer[key]), "text"
    if layer.get("error"):
        yield "internal error", layer["error"], "text"


def shape_text(geometry: Data) -> str:
    """Channels and extents, kernel, stride: ``64 x 570 x 570 -> 64 x 568 x 568, kernel 3 x 3, stride 1``."""
    axes = geometry["axes"]

    def joined(name: str) -> str:
        return " x ".join(str(axis[name]) for axis in axes)

    text = f"{geometry['in_channels']} x {joined('ifmap')} to {geometry['out_channels']} x {joined('ofmap')}"
    text += f", kernel {joined('kernel')}"
    for name in ("stride", "dilation"):
        if any(axis[name] > 1 for axis in axes):
            text += f", {name} {joined(name)}"
    return text if geometry["batch"] == 1 else f"{geometry['batch']} images, {text}"


def _pieces(layer: Data, machine: Data, stack: Data | None, band: Sequence[Data]) -> Iterator[dict[str, Any]]:
    """What is run by itself: its title, loop nest, what lies in the buffer, how the maps are cut."""
    if stack is not None:
        piece = {"mapping": None}
        yield {
            "title": f"stack {stack['name']}",
            "nest": loop_nest(piece, stack, band),
            "rooms": rooms(layer, piece, machine, stack),
            "planes": [],
        }
        return
    owners = [layer] if "mapping" in layer else layer["parts"]
    for owner in owners:
        if owner.get("mapping") is None and not _only_written(owner):
            continue
        times = f", {owner['count']} times" if owner.get("count", 1) > 1 else ""
        proof = _proof(owner)
        yield {
            "title": f"{owner['name']}{times}",
            "nest": loop_nest(owner),
            "rooms": rooms(layer, owner, machine, None),
            "planes": planes(owner),
            **({"proof": proof} if proof else {}),
        }


def _only_written(owner: Data) -> bool:
    return owner.get("geometry") is None and owner.get("latency_cycles") is not None


def _proof(owner: Data) -> str:
    """How good it is proven to be, in a sentence."""
    if "solution_status" not in owner:
        return ""
    gap = owner["gap"]
    scope = "the given partition" if owner["bound_scope"] == "partition" else "the map space"
    told = "no bound proven" if gap is None else f"gap {100 * gap:.2f} % to the bound proven for {scope}"
    ended = owner["termination"].replace("_", " ")
    return f"{owner['solution_status']}, {told}" + (f"; {ended}" if ended != "optimal" else "")
