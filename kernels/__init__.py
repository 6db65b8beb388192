"""Compiled kernels: arrays in, arrays out.

No labels, no files, no random state live here. ``compile`` holds the compile policy, ``simd`` the eight-wide numbers
that kernels compute with.
"""

if __name__ != "fastmodes.kernels":
    raise ImportError("the folder 'kernels' is imported as fastmodes.kernels; install the package and import that")
