"""A mapping as what a machine does: loops, transfers, computations; as text, C, JSON and numbers."""

LIMIT = 200_000_000
"""Multiply-accumulates beyond which a layer is not run on numbers, unless one says otherwise."""
