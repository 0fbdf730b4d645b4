"""A network as one problem: the ways to run its layers, and the choice among them and of what stays."""
