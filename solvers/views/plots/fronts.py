"""Pareto fronts: DRAM traffic, or energy, against latency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from solvers.views.plots import style
from solvers.views.plots.panels import by_layer, whole
from solvers.views.plots.picture import Picture
from solvers.views.plots.runs import Data
from solvers.views.plots.text import HandyUnit, plain, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OTHERS = {"traffic": ("DRAM traffic", "traffic_bytes", "bytes"), "energy": ("energy", "energy_pj", "pJ")}
"""The other quantity of a front: its name, its field, its unit."""
_MARKED = 60
"""Points of a front at most that are marked one by one."""
_WIDE = 5  # times, beyond which the axis is logarithmic


def front_pictures(fronts: Data) -> tuple[Picture, Picture]:
    """Both pictures of Pareto fronts, as ``--plots`` writes them: of the network, and of each layer.

    Args:
        fronts: ``network``, ``layers`` and ``total``. Each layer has a ``name`` and, as the total, ``points``
            of ``latency_cycles`` and ``traffic_bytes``, of which none is beaten in both; ``quantities`` says
            if it is ``energy_pj``.
    """
    points = fronts["total"]["points"]
    name, field, basic = _OTHERS[fronts.get("quantities", ("latency", "traffic"))[1]]
    cycles = unit("cycles", (point["latency_cycles"] for point in points))
    other = unit(basic, (point[field] for point in points))
    axes = (f"latency [{cycles.name}]", f"{name} [{other.name}]")
    most = max((_relative(field, layer)[1][0] for layer in fronts["layers"] if layer["points"]), default=1.0)
    short = name.removeprefix("DRAM ")
    text, total, layer = (
        f"latency and {short}",
        partial(_total, field, cycles, other),
        partial(_layer, field, most),
    )
    ratios = ("latency above the least [%]", f"{name} / least {short}")
    return (
        whole("pareto", fronts, text, total, axes),
        by_layer("pareto_layers", fronts, text, layer, ratios),
    )


def _sorted(field: str, entry: Data) -> tuple[list[float], list[float]]:
    """Cycles, ascending, and the other quantity."""
    points = sorted((float(p["latency_cycles"]), float(p[field])) for p in entry["points"])
    return [x for x, _ in points], [y for _, y in points]


def _relative(field: str, entry: Data) -> tuple[list[float], list[float]]:
    """Latency above the least [%], and times the least of the other quantity."""
    x, y = _sorted(field, entry)
    return [100 * (cycles / x[0] - 1) for cycles in x], [moved / (y[-1] or 1) for moved in y]


def _total(field: str, cycles: HandyUnit, other: HandyUnit, ax: Axes, entry: Data) -> None:
    latencies, others = _sorted(field, entry)
    x, y = [cycles.of(value) for value in latencies], [other.of(value) for value in others]
    _front(ax, field.partition("_")[0], x, y)
    ax.margins(0.06)
    if y and y[0] > _WIDE * y[-1] > 0:
        style.log_axis(ax, "y", y)


def _layer(field: str, most: float, ax: Axes, entry: Data) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if not entry["points"]:
        ax.annotate("does not fit", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=6.5)
        ax.set(xticks=[], yticks=[])
        return
    x, y = _relative(field, entry)
    _front(ax, field.partition("_")[0], x, y)
    room = (x[-1] or 1.0) * 0.06
    ax.set_xlim(-room, x[-1] + room)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(FuncFormatter(plain))
    style.log_axis(ax, "y", [1, 2, most])


def _front(ax: Axes, name: str, x: Sequence[float], y: Sequence[float]) -> None:
    """What is beyond the staircase can be reached; what is before it cannot."""
    marker, text = "o" if len(x) <= _MARKED else "", f"front, {len(x):,} points"
    ax.plot(x, y, marker=marker, drawstyle="steps-post", color=style.BLUE, label=text, markersize=3)
    ends: dict[str, Any] = {"linestyle": "", "color": style.RED, "markersize": 5, "zorder": 3}
    ax.plot(x[:1], y[:1], marker="<", label="least latency", **ends)
    ax.plot(x[-1:], y[-1:], marker="v", label=f"least {name}", **ends)
