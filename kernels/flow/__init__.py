"""Learning in continuous time: the flow of modes on lanes, and of whole networks."""
