"""What a sweep keeps: answers, rows, tables."""
