"""The network as one problem: blocks, their choice, the mixed-integer program."""
