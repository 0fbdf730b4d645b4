"""Networks: what is to be run."""

PROJECT = "dnn-dataflow-optimizer"
"""The whole project's name, as package indexes know it."""

__version__ = "0.1.0"
"""Of the whole project; ``pyproject.toml`` reads it from here."""
