"""A mapping as what a machine does: loops, transfers, computations; as text, C, JSON and numbers."""
