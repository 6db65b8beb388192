"""A sweep before it runs: its document, its parameters, its points."""
