"""References that share no code with what they test: they walk through tiles."""
