"""What is optimised: the machine, mappings, their cost, and models of the choice among them."""
