"""What the command lines share: options, columns and tables."""
