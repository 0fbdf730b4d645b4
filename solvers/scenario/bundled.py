"""The scenarios that come with the project, by name; in a clone and where it is installed."""

from __future__ import annotations

from pathlib import Path

SCENARIOS = Path(__file__).parents[2] / "scenarios"
"""Where they are."""


def names() -> list[str]:
    """All of them, in order."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def located(path: str | Path) -> str | Path:
    """A path as it is, or the bundled scenario of that name if there is no such file."""
    name = str(path)
    if Path(name).name != name or Path(name).suffix or Path(name).exists() or name not in names():
        return path
    return SCENARIOS / f"{name}.yaml"
