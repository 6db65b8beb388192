"""Compile policy: the only file that touches numba's decorators.

Every compiled function of the package is made by :func:`kernel`, :func:`inlined`, :func:`always_inlined` or
:func:`apart`.

* ``error_model="numpy"``: a division by zero gives inf or NaN (divergence is a result here), and loops vectorise.
* ``nogil=True``: blocks of work run side by side in plain threads, see :mod:`fastmodes.parallel`.
* No ``fastmath`` that assumes finite numbers, ever. Fused multiply-adds are written out with
  :func:`fastmodes.kernels.simd.lanes.fma`.
* Compiled code is kept on disk in a private folder named after the numba version, the processor and the SHA-256 of all
  kernel sources: numba's own index ignores edits in other files, the folder's name does not. See
  :mod:`fastmodes.kernels.code_cache`.
"""

import functools

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic, overload

from .code_cache import cache_folder, keep_compiled

__all__ = ["always_inlined", "apart", "by_dimensions", "cache_folder", "halted", "inlined", "kernel"]

_POLICY = {"error_model": "numpy", "nogil": True}


def kernel(function):
    """Compile ``function`` on first use, with the package's policy."""
    if config.DISABLE_JIT:
        # As compiled: a division by zero gives inf or NaN without a word.
        return np.errstate(all="ignore")(function)
    return keep_compiled(numba.njit(**_POLICY)(function), function)


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


def halted(flags):
    """Whether the last number of an int64 array is not 0, as another thread may just have made it.

    Kernels that can run for more than a second ask it between pieces of work, and return early. It is read from memory
    every time, which costs less than a nanosecond.
    """
    return flags.flat[-1] != 0


if not config.DISABLE_JIT:

    @intrinsic
    def _last(typingctx, flags):
        def codegen(context, builder, signature, arguments):
            array = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [builder.sub(array.nitems, array.nitems.type(1))])
            return builder.load_atomic(place, ordering="monotonic", align=8)

        return types.int64(flags), codegen

    @overload(halted, jit_options=_POLICY, inline="never")
    def _halted(flags):
        return lambda flags: _last(flags) != 0
