"""Compile policy: the only file that touches numba's decorators.

Every compiled function of the package is made by :func:`kernel`, :func:`inlined`, :func:`always_inlined` or
:func:`apart`.

* ``error_model="numpy"``: a division by zero gives inf or NaN (divergence is a result here), and loops vectorise.
* ``nogil=True``: blocks of work run side by side in plain threads, see :mod:`fastmodes.parallel`.
* No ``fastmath`` that assumes finite numbers, ever. Fused multiply-adds are written out with
  :func:`fastmodes.kernels.simd.lanes.fma`.
* Compiled code is kept on disk in a private folder (mode 0700) named after the numba version, the processor and the
  SHA-256 of all kernel sources: numba's own index ignores edits in other files, the folder's name does not.

``FASTMODES_CACHE_DIR`` chooses another place for the compiled code.
"""

import contextlib
import functools
import hashlib
import os
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import platformdirs
from llvmlite import ir
from numba.core import config, types
from numba.extending import intrinsic, overload

_POLICY = {"error_model": "numpy", "nogil": True}


def _source_digest():
    digest, here = hashlib.sha256(), Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(source.relative_to(here).as_posix().encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def cache_folder():
    """Folder of the compiled kernels, or None where no such folder can be made.

    Returns
    -------
    pathlib.Path or None
        Private to the user, to the numba version, to the processor and to the exact kernel sources.
    """
    base = os.environ.get("FASTMODES_CACHE_DIR") or platformdirs.user_cache_path("fastmodes")
    name = f"numba-{numba.__version__}-{llvmlite.binding.get_host_cpu_name()}-{_source_digest()}"
    folder = Path(base) / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


@contextlib.contextmanager
def _private_cache(folder):
    saved = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = saved


def kernel(function):
    """Compile ``function`` on first use, with the package's policy."""
    if config.DISABLE_JIT:
        # As compiled: a division by zero gives inf or NaN without a word.
        return np.errstate(all="ignore")(function)
    folder = cache_folder()
    if folder is None:
        return numba.njit(**_POLICY)(function)
    with _private_cache(folder):
        return numba.njit(cache=True, **_POLICY)(function)


def always_inlined(function):
    """As :func:`inlined`, but copied into every caller whatever its size: for the arithmetic of innermost loops.

    A call would pass lanes through memory.
    """
    return numba.njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_POLICY)(function)


def inlined(function):
    """Compile as :func:`kernel`, without a cache file: for small functions called only from other kernels."""
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_POLICY)(function)


def by_dimensions(choices):
    """Decorate a stub whose work is done by one of several kernels, chosen by the number of axes of its first array.

    The choice is made while compiling. One recursion can so be written once and compiled for arrays of one network and
    for arrays of eight networks side by side (one more axis).

    Parameters
    ----------
    choices : dict
        Number of axes of the first argument: the compiled function to call.
    """

    def decorate(stub):
        @overload(stub, jit_options=_POLICY, strict=False)
        def choose(*arguments):
            chosen = choices.get(getattr(arguments[0], "ndim", None))
            return None if chosen is None else _passed_on(chosen)

        @functools.wraps(stub)
        def without_compiler(*arguments):
            return choices[arguments[0].ndim](*arguments)

        return without_compiler if config.DISABLE_JIT else stub

    return decorate


def _passed_on(chosen):
    def call(*arguments):
        return chosen(*arguments)

    return call


def apart(function):
    """Compile as :func:`inlined`, once for each set of argument types, and keep it out of its callers.

    For kernels made of many calls of the same few functions: numba would compile a function anew for every constant
    passed to it, and LLVM would copy its body to every place that calls it. Without both, compiling is many times
    faster; a call costs a jump.
    """
    compiled = inlined(function)
    if config.DISABLE_JIT:
        return compiled

    def typed(typingctx, arguments):
        kind = typingctx.resolve_value_type(compiled)
        signature = kind.get_call_type(typingctx, tuple(types.unliteral(argument) for argument in arguments), {})

        def codegen(context, builder, _, values):
            result = context.get_function(kind, signature)(builder, values)
            name = compiled.overloads[tuple(signature.args)].fndesc.llvm_func_name
            for block in builder.function.blocks:
                for instruction in block.instructions:
                    if isinstance(instruction, ir.CallInstr) and instruction.callee.name == name:
                        instruction.attributes.add("noinline")
            return result

        return signature, codegen

    by_count = (
        lambda typingctx, a: typed(typingctx, (a,)),
        lambda typingctx, a, b: typed(typingctx, (a, b)),
        lambda typingctx, a, b, c: typed(typingctx, (a, b, c)),
        lambda typingctx, a, b, c, d: typed(typingctx, (a, b, c, d)),
        lambda typingctx, a, b, c, d, e: typed(typingctx, (a, b, c, d, e)),
        lambda typingctx, a, b, c, d, e, f: typed(typingctx, (a, b, c, d, e, f)),
        lambda typingctx, a, b, c, d, e, f, g: typed(typingctx, (a, b, c, d, e, f, g)),
    )
    return functools.update_wrapper(intrinsic(by_count[function.__code__.co_argcount - 1]), function)
