"""Compiled kernels: arrays in, arrays out.

No labels, no files, no random state live here. ``compile`` holds the compile policy, ``lanes`` the eight-wide numbers
that kernels compute with, ``parallel`` the thread driver.
"""
