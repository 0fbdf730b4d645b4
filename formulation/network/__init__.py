"""A network as one problem: stored tensors, what moves between layers, and the choice among all of it."""
