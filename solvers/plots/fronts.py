"""Pareto fronts: DRAM traffic against latency."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from solvers.plots import style
from solvers.plots.panels import by_layer, whole
from solvers.plots.picture import Picture
from solvers.plots.runs import Data
from solvers.plots.text import Unit, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIELDS = ("latency_cycles", "traffic_bytes")
_MARKED = 60
"""Points of a front at most that are marked one by one."""


def front_pictures(fronts: Data) -> tuple[Picture, Picture]:
    """Both pictures of Pareto fronts, as ``--plots`` writes them: of the network, and of each layer.

    Args:
        fronts: ``network``, ``layers`` and ``total``. Each layer has a ``name`` and, as the total, ``points``
            of ``latency_cycles`` and ``traffic_bytes``, of which none is beaten in both.
    """
    points = fronts["total"]["points"]
    cycles = unit("cycles", (point["latency_cycles"] for point in points))
    moved = unit("bytes", (point["traffic_bytes"] for point in points))
    axes = (f"latency [{cycles.name}]", f"DRAM traffic [{moved.name}]")
    text, total = "latency and traffic", partial(_front, cycles, moved)
    ratios = ("latency / least latency", "DRAM traffic / least traffic")
    return (
        whole("pareto", fronts, text, total, axes),
        by_layer("pareto_layers", fronts, text, _layer, ratios),
    )


def _front(cycles: Unit, moved: Unit, ax: Axes, entry: Data) -> None:
    """What is beyond the staircase can be reached; what is before it cannot."""
    points = sorted(entry["points"], key=lambda point: point["latency_cycles"])
    x = [cycles.of(point["latency_cycles"]) for point in points]
    y = [moved.of(point["traffic_bytes"]) for point in points]
    marker = "o" if len(points) <= _MARKED else ""
    text = f"front, {len(points)} mappings" if "name" in entry else f"front, {len(points):,} schedules"
    ax.plot(x, y, marker=marker, drawstyle="steps-post", color=style.BLUE, label=text, markersize=3)
    if points:
        ends: dict[str, Any] = {"linestyle": "", "color": style.RED, "markersize": 5, "zorder": 3}
        ax.plot(x[:1], y[:1], marker="<", label="least latency", **ends)
        ax.plot(x[-1:], y[-1:], marker="v", label="least traffic", **ends)
    ax.margins(0.06)


def _layer(ax: Axes, entry: Data) -> None:
    points = entry["points"]
    least = [min((float(p[field]) for p in points), default=1) or 1 for field in _FIELDS]
    _front(Unit("", least[0]), Unit("", least[1]), ax, entry)
    if not points:
        ax.annotate("does not fit", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=6.5)
    if len(points) == 1:
        ax.set(xlim=(0.9, 1.1), ylim=(0.9, 1.1), xticks=[1], yticks=[1])
