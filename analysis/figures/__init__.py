"""Figures: each takes a Dataset (and an axes), returns the axes or the figure, and leaves global settings alone."""
