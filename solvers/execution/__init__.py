"""A mapping as what a machine does: loops over tiles, transfers, computations; as text, C, JSON and numbers."""
