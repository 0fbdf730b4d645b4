"""What a sweep asks: its file, its axes."""
