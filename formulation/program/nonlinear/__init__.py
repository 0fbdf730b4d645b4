"""The integer nonlinear program of a layer: whole tiles and trip counts, one class of loop orders a model."""
