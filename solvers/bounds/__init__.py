"""Proven bounds from convex relaxations: duals, branching, sensitivities."""
