"""What a desk costs that has seen much."""
