"""Certificates: proven where the claim is true, refused where it is not."""
