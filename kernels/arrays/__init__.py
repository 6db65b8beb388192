"""Where arrays lie, how matrices are multiplied, and how grids are read."""
