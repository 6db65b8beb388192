"""Benchmarks: ``python -m benchmarks.peers`` beside JAX and PyTorch, ``suite/`` for asv."""
