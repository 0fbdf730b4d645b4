"""The pictures of one result, and of a comparison: as files, and as axes in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from solvers.views.plots.bars import layers, parts
from solvers.views.plots.compared import gaps, methods
from solvers.views.plots.picture import Picture, show
from solvers.views.plots.roofline import roofline
from solvers.views.plots.runs import Data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def report_pictures(data: Data) -> Iterator[Picture]:
    """All pictures of a result, as ``--plots`` writes them."""
    yield from (roofline(data), parts(data), layers(data))


class ReportPlots:
    """The pictures of a report, in a notebook: ``report.plot.roofline()``.

    Each method draws into a given figure, or into a new one of pyplot's, and returns the axes. All raise
    InputError without matplotlib.
    """

    def __init__(self, data: Data) -> None:
        self._data = data

    def __repr__(self) -> str:
        return "<plots: roofline(), parts(), layers()>"

    def roofline(self, figure: Figure | SubFigure | None = None) -> Axes:
        """MACs per cycle against MACs per byte of DRAM traffic, with what the machine allows."""
        return show(roofline(self._data), figure)[0]

    def parts(self, figure: Figure | SubFigure | None = None) -> Axes:
        """What ifmap, ofmap and weights take of the buffer, piece by piece [KiB]."""
        return show(parts(self._data), figure)[0]

    def layers(self, figure: Figure | SubFigure | None = None) -> tuple[Axes, Axes]:
        """Cycles and DRAM traffic of every layer, in two axes."""
        latency, traffic = show(layers(self._data), figure)
        return latency, traffic


class ComparisonPlots:
    """The pictures of a comparison, in a notebook: ``compare(...).plot.methods()``; as ``ReportPlots``."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def __repr__(self) -> str:
        return "<plots: methods(), gaps()>"

    def methods(self, figure: Figure | SubFigure | None = None) -> tuple[Axes, Axes]:
        """Cycles and DRAM traffic of every problem by each method, in two axes."""
        latency, traffic = show(methods(self._data), figure)
        return latency, traffic

    def gaps(self, figure: Figure | SubFigure | None = None) -> tuple[Axes, Axes]:
        """The proven gap and the time of every problem by each method, in two axes."""
        gap, time = show(gaps(self._data), figure)
        return gap, time
