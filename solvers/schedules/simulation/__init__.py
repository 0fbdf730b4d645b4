"""Mappings executed tile by tile on a simulated machine; nothing of the model's formulas is used here."""
