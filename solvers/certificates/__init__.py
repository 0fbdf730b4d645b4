"""Proofs for ``solvers.check``: trees of boxes of tile sizes, and dual multipliers from relaxed models."""
