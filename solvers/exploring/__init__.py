"""How the answer moves: curves against the buffer's size, fronts of latency and traffic."""
