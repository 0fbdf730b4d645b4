"""Schedules as text: what a person reads, C, JSON."""
