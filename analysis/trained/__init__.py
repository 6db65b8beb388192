"""What trained networks show: their modes against theory, rank, learning rates, statistics over seeds."""
