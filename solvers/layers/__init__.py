"""The methods for one layer."""
