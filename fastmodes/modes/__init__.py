"""Updates, flows and maps of single modes, on parameter grids."""
