"""The loop nest of a mapping as text: what is fetched where, what stays, what the array does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from solvers.views.page.tiles import tile_extents

Data = Mapping[str, Any]

#: The loops that each tensor depends on; spatial loops and the batch are ``sp``.
_DEPENDS = {"weights": ("co", "ci"), "ifmap": ("ci", "sp"), "ofmap": ("co", "sp")}
_GROUPS = {"out_channels": "co", "rounds": "co", "in_channels": "ci"}


def loop_nest(piece: Data, stack: Data | None = None, band: Sequence[Data] = ()) -> str:
    """How a piece is run, loop by loop, outermost first.

    Args:
        piece: a part, or a layer whose sub-convolutions share tiles: what has ``mapping`` and ``geometry``.
        stack: the stack that it is in, if it is in one.
        band: then the stack's layers, in order.
    """
    if stack is not None:
        return "\n".join(_stack_lines(stack, band))
    if piece.get("mapping") is None:
        return "outputs that no tap reaches: zeros, only written"
    if "streamed" in piece["mapping"]:
        return "tiles in inner steps of sub-tiles: their loops are not shown"
    return "\n".join(_lines(piece))


def _lines(piece: Data) -> Iterator[str]:
    """The loops with more than one trip, each tensor moved in the innermost loop that it depends on."""
    mapping, moved = piece["mapping"], piece.get("traffic") or {}
    trips, shapes = mapping["trips"], _shapes(piece)
    loops = [name for name in mapping["loop_order"] if _of(trips, name) > 1]
    depth = {name: _depth(loops, name) for name in _DEPENDS}
    returns = moved.get("ofmap_read") != 0 and any(_group(n) == "ci" for n in loops[: depth["ofmap"]])
    for level in range(len(loops) + 1):
        if level:
            yield f"{'  ' * (level - 1)}for {_loop(loops[level - 1], piece)}:"
        for tensor in ("weights", "ifmap"):
            if depth[tensor] == level:
                verb = "fetch" if moved.get(tensor) != 0 else "take from the chip"
                yield f"{'  ' * level}{verb} {tensor} {shapes[tensor]}{_slides(tensor, mapping)}"
        if returns and depth["ofmap"] == level:
            yield f"{'  ' * level}fetch partial sums {shapes['ofmap']}, but the first time"
    sums = "add to" if _of(trips, "in_channels") > 1 else "make"
    yield f"{'  ' * len(loops)}array: {sums} ofmap {shapes['ofmap']}"
    verb = "write" if moved.get("ofmap_write") != 0 else "keep on the chip"
    yield f"{'  ' * depth['ofmap']}{verb} {'partial sums, at last the ofmap' if returns else 'ofmap'}"


def _slides(tensor: str, mapping: Data) -> str:
    axis = mapping["sliding_axis"]
    return f", only what is new along spatial.{axis}" if tensor == "ifmap" and axis is not None else ""


def _depth(loops: Sequence[str], tensor: str) -> int:
    """How many loops stand around the fetch of a tensor: down to the innermost that it depends on."""
    own = (*_DEPENDS[tensor], "groups")
    return max((i + 1 for i, name in enumerate(loops) if _group(name) in own), default=0)


def _group(loop: str) -> str:
    return loop if loop == "groups" else _GROUPS.get(loop, "sp")


def _of(data: Data, name: str) -> int:
    """A dimension of a tile or of trip counts; ``spatial.0`` is the first axis."""
    stem, _, index = name.partition(".")
    found = data[stem]
    return int(found[int(index)] if index else found)


def _loop(name: str, piece: Data) -> str:
    """One loop: how many tiles, of what."""
    mapping, geometry = piece["mapping"], piece["geometry"]
    count = _of(mapping["trips"], name)
    if name in ("groups", "rounds"):
        return f"{count} {name}"
    stem, _, index = name.partition(".")
    step, told = _of(mapping["tile"], name), f"{count} tiles of "
    if "rounds" in mapping and index:  # on the grid that sub-convolutions share
        return f"{name} in {told}{step}"
    whole = geometry["axes"][int(index)]["ofmap"] if index else geometry[stem]
    last = whole - (count - 1) * step
    return f"{name} in {told}{step} of {whole}{f', the last {last}' if last != step else ''}"


def _shapes(piece: Data) -> dict[str, str]:
    """Extents of a tile of each tensor, as far as one number says it."""
    found = {name: " x ".join(map(str, sizes)) for name, sizes in tile_extents(piece).items()}
    if found:
        return found
    tile = piece["mapping"]["tile"]
    spatial = " x ".join(map(str, tile["spatial"]))
    return {
        "ifmap": f"{tile['in_channels']} channels under {spatial} of each phase",
        "ofmap": f"of the round's filters, {spatial} of each phase",
        "weights": f"of the round's filters, {tile['in_channels']} channels",
    }


def _stack_lines(stack: Data, layers: Sequence[Data]) -> Iterator[str]:
    """A stack: bands in strips, every layer in turn in each."""
    kept = [layer["name"] for layer in layers if layer["parts"][0]["weights"]["kept"]]
    if kept:
        yield f"fetch weights of {', '.join(kept)}: they stay"
    yield "for each image:"
    indent = "  "
    for axis, (count, size) in enumerate(zip(stack["strips"], stack["strip_sizes"], strict=True), start=1):
        yield f"{indent}for strip in {count} of {size} along axis {axis}:"
        indent += "  "
    yield f"{indent}for band in {stack['bands']} of {stack['band_rows']} rows:"
    for layer in layers:
        tile = layer["parts"][0]["weights"]["tile"]
        streamed = (
            f", weights streamed in tiles of {tile['out_channels']} x {tile['in_channels']}" if tile else ""
        )
        yield f"{indent}  {layer['name']}: the rows that the band newly needs{streamed}"
    yield f"{indent}  write the band"
