"""Programs as arrays and as files, the solvers that they are handed to, and when to stop."""
