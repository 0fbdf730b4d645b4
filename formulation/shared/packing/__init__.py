"""Packings of sub-convolutions into rounds."""
