"""Several sub-convolutions of a deconvolution that share each ifmap tile: their map space and models."""
