"""One update of a network: sampled, and expected at finitely and infinitely many steps."""
