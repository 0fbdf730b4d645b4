"""Frontiers of layers and deconvolutions: what they cost against the room that they take."""
