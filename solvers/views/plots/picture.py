"""A picture: how it is drawn, shown in a notebook, and written to files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from dnns import PROJECT
from dnns.errors import InputError
from dnns.terminal.output import write_bytes
from solvers.views.plots.style import styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

KINDS = ("png", "svg")
"""Of files that a picture is written to."""
_METADATA: dict[str, dict[str, str | None]] = {"png": {"Software": None}, "svg": {"Date": None}}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that can be drawn.

    Attributes:
        name: of its files, without a suffix.
        size: width and height [inches].
        draw: draws it into an empty figure, and returns its axes.
    """

    name: str
    size: tuple[float, float]
    draw: Callable[[Figure | SubFigure], tuple[Axes, ...]]


def needs_matplotlib(asked: str) -> None:
    """Raise InputError, which says what to install, if matplotlib is missing.

    Args:
        asked: the option or function that needs it.
    """
    if find_spec("matplotlib") is None:
        raise InputError(asked, "", f"needs matplotlib: pip install '{PROJECT}[plot]'")


def show(picture: Picture, figure: Figure | SubFigure | None = None) -> tuple[Axes, ...]:
    """Draw a picture, as notebooks show it.

    Args:
        picture: what to draw.
        figure: to draw into; None for a new one of pyplot's.

    Returns:
        Its axes.

    Raises:
        InputError: without matplotlib.
    """
    needs_matplotlib("plot")
    with styled():
        if figure is None:
            from matplotlib import pyplot

            figure = pyplot.figure(figsize=picture.size, layout="constrained")
        return picture.draw(figure)


def check_folder(folder: str, option: str) -> None:
    """Tell, before the work begins, that pictures cannot be made, or not be written to a folder.

    Args:
        folder: to write to; made when there is something to write.
        option: that names it.

    Raises:
        InputError: without matplotlib, and for what is no folder or cannot be written to.
    """
    needs_matplotlib(option)
    if folder in ("", "-"):
        raise InputError(option, "", f"got {folder!r}, allowed: a folder")
    path = Path(os.path.abspath(folder))
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(folder, "", f"cannot be made: {reason}") from None
    there = next(above for above in (path, *path.parents) if above.exists())
    if not there.is_dir():
        raise InputError(folder, "", f"cannot be written: {there.name} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(folder, "", "cannot be written: Permission denied")


def write_pictures(pictures: Iterable[Picture], folder: str | Path) -> list[InputError]:
    """Write each picture as PNG and as SVG; what fails keeps nothing else from being done.

    The same picture gives the same bytes (with one version of matplotlib).

    Args:
        pictures: to write.
        folder: to write to, made if it is not there.

    Returns:
        What could not be written.
    """
    failed: list[InputError] = []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [InputError(folder, "", f"cannot be made: {error.strerror}")]
    for picture in pictures:
        for name, data in encoded(picture).items():
            try:
                write_bytes(Path(folder) / name, data)
            except InputError as error:
                failed.append(error)
    return failed


def folders(folder: str, names: Sequence[str]) -> list[Path]:
    """Where the pictures of each of several things go: one into the folder, several each into one in it.

    Args:
        folder: in which they are.
        names: of the things; where one is as another, ``-2`` and so on is added.
    """
    if len(names) == 1:
        return [Path(folder)]
    homes: list[Path] = []
    for name in names:
        home, more = Path(folder) / name, 1
        while home in homes:
            more += 1
            home = Path(folder) / f"{name}-{more}"
        homes.append(home)
    return homes


def encoded(picture: Picture) -> dict[str, bytes]:
    """The files of a picture by name."""
    from matplotlib.figure import Figure

    files = {}
    with styled(), _glyphs_may_miss():
        figure = Figure(figsize=picture.size, layout="constrained")
        picture.draw(figure)
        for kind in KINDS:
            stream = BytesIO()
            figure.savefig(stream, format=kind, metadata=_METADATA[kind])
            files[f"{picture.name}.{kind}"] = stream.getvalue()
    return files


@contextmanager
def _glyphs_may_miss() -> Iterator[None]:
    """A name may have characters that the font has not: a PNG shows boxes for them, an SVG has the name."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
