"""Updates of whole networks: one or many, at finitely or infinitely many steps, under any input."""
