"""Networks: what is to be run."""
