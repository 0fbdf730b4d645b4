"""What processes import ahead, by the methods that a scenario is likely to ask for."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

IMPORTED = ("numpy", "solvers.network.work")
_PROGRAMS = ("pyomo.core", "solvers.layers.exact", "solvers.backends.highs")
_RELAXED = ("pyomo.core", "solvers.layers.combined", "solvers.backends.ipopt")
#: What each method needs, imported once for all processes; for shared tiles they import at the same time.
PRELOADED = {
    "static": ("solvers.layers.static",),
    "exhaustive": ("solvers.layers.exhaustive",),
    "exact": _PROGRAMS,
    "constrained": _RELAXED,
    "combined": (*_RELAXED, *_PROGRAMS),
}
_SOLVING = re.compile("|".join(PRELOADED), re.IGNORECASE)
_READ = 1 << 16  # of a scenario, to see which methods it names


def likely_methods(text: str | None, *files: str | Path) -> tuple[str, ...]:
    """The methods that a text names, else those that files do, else the default one: a guess."""
    texts = [text] if text is not None else map(_beginning, files)
    found = dict.fromkeys(name.lower() for each in texts for name in _SOLVING.findall(each))
    return tuple(found) or ("exhaustive",)


def _beginning(file: str | Path) -> str:
    """Of a file that can be read, again and again; not of a pipe, which would be empty then."""
    with suppress(OSError, ValueError):
        if Path(file).is_file():
            with Path(file).open(encoding="utf-8") as stream:
                return stream.read(_READ)
    return ""
