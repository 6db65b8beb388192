"""Files that are complete or absent, and the names of everything in them."""
