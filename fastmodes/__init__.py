"""fastmodes: how learning rules shape a linear recurrent network, exactly and fast.

Letters of the source paper (Williams, Payeur and Lajoie 2026): A readout, W recurrent, B input weights, R random
feedback; w, a, b, r their entries for one mode; a star marks the teacher.
"""

import importlib.util

import lazy_loader

if importlib.util.find_spec(f"{__name__}.kernels") is None:
    # Python looks into the current folder first, and a checkout's folder fastmodes holds a part of the package alone.
    raise ImportError(
        "Python started in a checkout of fastmodes and found its sources instead of the installed package; start it in "
        "another folder, or install the checkout with pip install --editable ."
    )

# Announces compiling, whichever kernels are the first to be loaded.
from . import compiling as compiling

__version__ = "0.1.0"

# Every name loads its module when it is first used; __init__.pyi says which one, here and to type checkers.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
