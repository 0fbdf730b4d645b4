"""Sweeps: a scenario at many points, each distinct problem solved once, whatever interrupts it."""
