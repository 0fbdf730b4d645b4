"""A run as one HTML file to look at: no network, no server; ``document`` writes it."""
