"""Operations on :mod:`~fastmodes.kernels.simd.lanes` that are close to the machine."""

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from .lanes import _VECTOR, _WORDS, LANES, MASK, WIDTH, _elementwise, _fenced, _is_place, _item_pointer

_BYTE = ir.IntType(8)
_NUMBER = ir.IntType(32)


#: Seven eighths of the bits of 1.0.
EIGHTH_ROOT_BITS = 0x37F2000000000000
#: The bits of 1.0.
ONE_BITS = 0x3FF0000000000000
#: Added to a number below 2^51 and subtracted again, it rounds to the nearest whole number.
WHOLE = 6755399441055744.0


@intrinsic
def aligned_stack(typingctx):
    """Align the stack of the function that calls this to a cache line: what is kept there never lies across two."""

    def codegen(context, builder, sig, args):
        builder.function.attributes.alignstack = 64
        # llvmlite writes the alignment only beside another attribute.
        builder.function.attributes.add("nounwind")
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def out_of_line(typingctx):
    """Keep the function that calls this from being inlined: large loops used in many places compile once."""

    def codegen(context, builder, sig, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def rough_eighth_root(typingctx, value):
    """The eighth root of numbers >= 0, never too low and at most 6.1 % too high; a tiny number for 0.

    An eighth of the bits is about an eighth of the logarithm. Two cheap instructions, where square roots of square
    roots of square roots would hold up all that follows.
    """
    if value != LANES:
        return None

    def codegen(context, builder, sig, args):
        words = builder.lshr(builder.bitcast(args[0], _WORDS), ir.Constant(_WORDS, [3] * WIDTH))
        return builder.bitcast(builder.add(words, ir.Constant(_WORDS, [EIGHTH_ROOT_BITS] * WIDTH)), _VECTOR)

    return LANES(value), codegen


@intrinsic
def power_of_two(typingctx, shifted):
    """2^k of whole numbers k from -1022 to 1023, given as :data:`WHOLE` + k: that sum ends in the bits of k."""
    if shifted != LANES:
        return None

    def codegen(context, builder, sig, args):
        exponent = builder.shl(builder.bitcast(args[0], _WORDS), ir.Constant(_WORDS, [52] * WIDTH))
        return builder.bitcast(builder.add(exponent, ir.Constant(_WORDS, [ONE_BITS] * WIDTH)), _VECTOR)

    return LANES(shifted), codegen


with_sign_of = _elementwise("copysign", 2)


@intrinsic
def lowest(typingctx, bits):
    """Position of the lowest one among the bits of an integer that is not 0."""
    if not isinstance(bits, types.Integer):
        return None

    def codegen(context, builder, sig, args):
        return builder.cttz(context.cast(builder, args[0], sig.args[0], types.intp), ir.Constant(ir.IntType(1), 1))

    return types.intp(bits), codegen


@intrinsic
def negative(typingctx, value):
    """Lanes whose sign bit is set, -0.0 and NaN among them: :func:`select` needs no comparison for these."""
    if value != LANES:
        return None

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], _WORDS)

    return MASK(value), codegen


@intrinsic
def store_bytes(typingctx, array, index, value):
    """Write eight lanes, small whole numbers, to ``array[index]`` and its seven neighbours; an array of int8."""
    fits = isinstance(array, types.Array) and array.dtype == types.int8 and isinstance(index, types.BaseTuple)
    if not fits or len(index) != array.ndim or value != LANES:
        return None

    def codegen(context, builder, sig, args):
        pointer = _item_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        # Unfenced, LLVM converts what a select chooses from, and then has to turn its mask into one of bytes.
        eight = ir.VectorType(_BYTE, WIDTH)
        whole = builder.fptosi(_fenced(builder, args[2]), ir.VectorType(_NUMBER, WIDTH))
        builder.store(builder.trunc(whole, eight), builder.bitcast(pointer, eight.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.none(array, index, value), codegen


@intrinsic
def fetch(typingctx, array, index):
    """Ask for the cache line of ``array[index]``, which will be read soon; the index may lie outside the array."""
    if not _is_place(array, index):
        return None

    def codegen(context, builder, sig, args):
        pointer = _item_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _NUMBER, _NUMBER, _NUMBER])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch")
        read, close, data = (ir.Constant(_NUMBER, value) for value in (0, 3, 1))
        builder.call(function, [builder.bitcast(pointer, _BYTE.as_pointer()), read, close, data])
        return context.get_dummy_value()

    return types.none(array, index), codegen


if config.DISABLE_JIT:
    from .numpy_twin import (  # noqa: F401
        aligned_stack,
        fetch,
        lowest,
        negative,
        out_of_line,
        power_of_two,
        rough_eighth_root,
        store_bytes,
        with_sign_of,
    )
