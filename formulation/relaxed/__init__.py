"""The continuous relaxation of one layer: under-estimates, classes, presolve, and the Pyomo model."""
