"""asv's benchmarks: ``asv run --quick`` in the folder above."""
