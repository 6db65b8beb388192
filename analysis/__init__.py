"""Dataset in, Dataset or figure out.

Names load their module when they are first used, so that importing the package stays light; ``__init__.pyi`` lists
them. No module here has the name of a function: loading it would hide the function.
"""

import lazy_loader

if __name__ != "fastmodes.analysis":
    raise ImportError("the folder 'analysis' is imported as fastmodes.analysis; install the package and import that")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
