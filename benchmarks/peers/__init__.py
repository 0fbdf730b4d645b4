"""Other tools beside this one, each in an environment of its own: the tables of ``docs/peers.md``."""
