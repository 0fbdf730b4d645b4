"""Traffic or latency against the size of the buffer: staircases over the bounds that nothing can beat."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from solvers.views.plots import style
from solvers.views.plots.panels import by_layer, whole
from solvers.views.plots.picture import Picture
from solvers.views.plots.runs import Data
from solvers.views.plots.text import HandyUnit, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TARGETS = {
    "traffic": ("DRAM traffic", "compulsory traffic"),
    "latency": ("latency", "roofline"),
    "energy": ("energy", "least energy"),
}
"""What is drawn, and what it is never below, by target."""


def curve_pictures(curve: Data) -> tuple[Picture, Picture]:
    """Both pictures of a curve, as ``--plots`` writes them: of the network, and of each layer.

    Args:
        curve: ``network``, ``target`` (``traffic`` or ``latency``), ``unit`` (``bytes`` or ``cycles``),
            ``layers`` and ``total``. Each layer has a ``name`` and, as the total, ``points`` (the least
            ``value`` from a ``buffer_bytes`` up to the next), ``compulsory``, and a ``bound``.
    """
    text, least = TARGETS[curve["target"]]
    size = unit(curve["unit"], (point["value"] for point in curve["total"]["points"]))
    entries = [*curve["layers"], curve["total"]]
    both = (point for entry in entries for point in (*entry["points"], *entry["bound"]))
    sizes = [point["buffer_bytes"] / 1024 for point in both] or [1.0]
    total = partial(_total, size, least, sizes)
    ratios = [value for layer in curve["layers"] for value in _ratios(layer)]
    layer = partial(_layer, sizes, ratios)
    buffer = "buffer [KiB]"
    lines = f"{buffer}; line: least of any mapping, dashes: proven for any schedule, dots: {least}"
    return (
        whole("curve", curve, f"{text} against buffer", total, (buffer, f"{text} [{size.name}]")),
        by_layer("curve_layers", curve, f"{text} against buffer", layer, (lines, f"{text} / {least}")),
    )


def _total(size: HandyUnit, least: str, sizes: Sequence[float], ax: Axes, entry: Data) -> None:
    bound = "proven for any schedule"
    _staircase(ax, entry, size.size, max(sizes), ("least of any mapping", bound, least))
    values = [size.of(point["value"]) for point in (*entry["points"], *entry["bound"])]
    style.log_axis(ax, "y", [*values, size.of(entry["compulsory"])], 1.1)
    style.size_axis(ax, sizes)


def _layer(sizes: Sequence[float], ratios: Sequence[float], ax: Axes, entry: Data) -> None:
    _staircase(ax, entry, _per(entry), max(sizes), ("", "", ""))
    style.log_axis(ax, "y", [1, 2, *ratios], 1.1)
    style.size_axis(ax, sizes, few=True)
    if not entry["points"]:
        ax.annotate("does not fit", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=6.5)


def _per(entry: Data) -> float:
    """What a layer's values are told in: its compulsory value, or 1 if there is none."""
    return float(entry["compulsory"]) or 1.0


def _ratios(entry: Data) -> list[float]:
    return [float(point["value"]) / _per(entry) for point in (*entry["points"], *entry["bound"])]


def _staircase(ax: Axes, entry: Data, per: float, last: float, texts: tuple[str, str, str]) -> None:
    """The least value of each size, the bound at each size, and what is below both.

    A bound falls as the buffer grows: between two sizes it is at least what it is at the larger.
    """
    value, bound, least = texts
    x, y = _points(entry["points"], per)
    if x:
        ax.plot([*x, last], [*y, y[-1]], drawstyle="steps-post", color=style.BLUE, label=value, zorder=3)
    x, y = _points(entry["bound"], per)
    if x:
        ax.plot(x, y, drawstyle="steps-pre", color=style.RED, linestyle="--", linewidth=1.1, label=bound)
    low = float(entry["compulsory"]) / per
    ax.axhline(low, color=style.BLACK, linestyle=":", linewidth=1.1, label=least)


def _points(points: Sequence[Data], per: float) -> tuple[list[float], list[float]]:
    """Sizes [KiB] and values."""
    known = [(point["buffer_bytes"] / 1024, float(point["value"]) / per) for point in points]
    return [size for size, _ in known], [value for _, value in known]
