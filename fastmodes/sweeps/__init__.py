"""Large grids: planned, computed in blocks, resumed, verified and merged."""
