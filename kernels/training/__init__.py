"""Many updates in a row: the loop from one recorded epoch to the next, and the optimisers."""
