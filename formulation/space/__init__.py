"""The map space of one layer: tables of tiles, bounds on blocks of them, and frontiers."""
