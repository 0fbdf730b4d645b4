"""Networks: what is to be run."""

__version__ = "0.1.0"
"""Of the whole project; ``pyproject.toml`` reads it from here."""
