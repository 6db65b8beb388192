"""Which rule made this change: a posterior over the rules of the family from snapshots of weights."""
