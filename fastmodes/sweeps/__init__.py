"""Large grids: planned, computed in blocks, resumed, verified and merged."""

import lazy_loader

# What is asked for is imported when it is asked for: the command line's help needs none of it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
