"""Mixed-integer programs and the solvers that they are handed to."""
