"""The tiles of a stack that are best: what is looked at, bounded, fitted, and kept."""
