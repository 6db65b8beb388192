"""A sweep's folder: blocks, their checks, and the datasets made of them."""
