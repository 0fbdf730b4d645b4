"""Prices, what is charged besides whole tiles, and the objectives that compare them."""
