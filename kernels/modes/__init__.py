"""One mode (w, a, b): its update, its velocity, its stability, its map in discrete steps."""
