"""Proven bounds from convex relaxations: IPOPT, dual bounds, branching, sensitivities."""
