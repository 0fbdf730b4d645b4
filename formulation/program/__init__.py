"""The mixed-integer program of one layer: candidates, coefficients, scaling, and the Pyomo model."""
