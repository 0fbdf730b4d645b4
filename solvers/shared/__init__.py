"""The methods for deconvolutions whose sub-convolutions share each ifmap tile."""
