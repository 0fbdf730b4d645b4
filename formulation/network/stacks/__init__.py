"""Fused stacks: layers run in turn on bands of rows, so that nothing between them goes to DRAM."""
