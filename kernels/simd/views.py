"""Views of arrays inside kernels: transposed, stacked, alone. They share memory with the array and copy nothing.

NumPy's own ``transpose``, ``reshape`` and ``expand_dims`` do the same, but numba spends seconds compiling each of them.
"""

import numpy as np
from numba.core import cgutils, config, types
from numba.extending import intrinsic


def _view(context, builder, sig, array, shape, strides):
    """An array of type ``sig.return_type`` on the memory of ``array``."""
    # Imported when something is compiled: loaded with the package it would double its import time.
    from numba.np import arrayobj

    source = context.make_array(sig.args[0])(context, builder, array)
    made = context.make_array(sig.return_type)(context, builder)
    arrayobj.populate_array(
        made, data=source.data, shape=shape, strides=strides,
        itemsize=source.itemsize, meminfo=source.meminfo, parent=source.parent,
    )  # fmt: skip
    return arrayobj.impl_ret_borrowed(context, builder, sig.return_type, made._getvalue())


def _axes(context, builder, kind, array):
    struct = context.make_array(kind)(context, builder, array)
    return (
        cgutils.unpack_tuple(builder, struct.shape, kind.ndim),
        cgutils.unpack_tuple(builder, struct.strides, kind.ndim),
    )


@intrinsic
def transposed(typingctx, array):
    """The first two axes exchanged: the transposed matrix, or eight transposed matrices."""
    if not isinstance(array, types.Array) or array.ndim < 2:
        return None

    def codegen(context, builder, sig, args):
        (rows, columns, *lanes), (down, across, *rest) = _axes(context, builder, sig.args[0], args[0])
        return _view(context, builder, sig, args[0], [columns, rows, *lanes], [across, down, *rest])

    return types.Array(array.dtype, array.ndim, "A")(array), codegen


@intrinsic
def stacked(typingctx, array):
    """A sequence of matrices (steps, rows, ...) as one tall matrix (steps * rows, ...); C-contiguous arrays only."""
    if not isinstance(array, types.Array) or array.ndim < 2 or array.layout != "C":
        return None

    def codegen(context, builder, sig, args):
        (steps, rows, *others), (_, *strides) = _axes(context, builder, sig.args[0], args[0])
        return _view(context, builder, sig, args[0], [builder.mul(steps, rows), *others], strides)

    return types.Array(array.dtype, array.ndim - 1, "C")(array), codegen


@intrinsic
def alone(typingctx, array):
    """A matrix as a sequence of length one."""
    if not isinstance(array, types.Array):
        return None

    def codegen(context, builder, sig, args):
        shape, strides = _axes(context, builder, sig.args[0], args[0])
        one = context.get_constant(types.intp, 1)
        return _view(context, builder, sig, args[0], [one, *shape], [builder.mul(shape[0], strides[0]), *strides])

    return types.Array(array.dtype, array.ndim + 1, array.layout)(array), codegen


@intrinsic
def flattened(typingctx, array):
    """All entries of a C-contiguous array in one row."""
    if not isinstance(array, types.Array) or array.layout != "C":
        return None

    def codegen(context, builder, sig, args):
        shape, strides = _axes(context, builder, sig.args[0], args[0])
        count = shape[0]
        for length in shape[1:]:
            count = builder.mul(count, length)
        return _view(context, builder, sig, args[0], [count], strides[-1:])

    return types.Array(array.dtype, 1, "C")(array), codegen


@intrinsic
def numbers(typingctx, array):
    """All entries of a C-contiguous float64 array in one row, for lanes alone; the caller keeps the array alive.

    An address, which is passed on for nothing: every array handed to a function has its references counted.
    """
    if not isinstance(array, types.Array) or array.layout != "C" or array.dtype != types.float64:
        return None

    def codegen(context, builder, sig, args):
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return types.CPointer(types.float64)(array), codegen


if config.DISABLE_JIT:

    def transposed(array):
        return array.swapaxes(0, 1)

    def stacked(array):
        return array.reshape(-1, *array.shape[2:])

    def alone(array):
        return array[np.newaxis]

    def flattened(array):
        return array.reshape(-1)

    numbers = flattened
