"""Eight float64 numbers as one value inside kernels: ``Lanes``, one LLVM vector <8 x double>.

A kernel that carries eight independent networks (or modes, or samples) through the same arithmetic is written as if
it handled one: ``load`` eight neighbours, compute with ``+ - * /``, :func:`fma`, :func:`sqrt`, compare, :func:`select`,
``store``. LLVM keeps the values in registers, two AVX2 or one AVX-512 each, whatever the aliasing of the arrays. A lane
never sees another lane's numbers, so a result does not depend on its neighbours.

The functions exist only inside kernels, and as plain NumPy twins
(:mod:`~fastmodes.kernels.simd.numpy_twin`) when ``NUMBA_DISABLE_JIT=1``.
"""

import operator

from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.datamodel import models, register_default
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

WIDTH = 8

_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)
#: A truth value is the sign of a word as wide as a number: it stays in the registers that comparing fills, where single
#: bits would be packed and spread again around every use.
_WORDS = ir.VectorType(ir.IntType(64), WIDTH)


class LanesType(types.Type):
    """Numba type of eight float64 lanes."""

    def __init__(self):
        super().__init__(name="Lanes")


class MaskType(types.Type):
    """Numba type of eight truth values, the result of comparing lanes."""

    def __init__(self):
        super().__init__(name="LanesMask")


LANES = LanesType()
MASK = MaskType()


@register_default(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _VECTOR)


@register_default(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _WORDS)


def _splat(builder, scalar):
    single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _as_vector(context, builder, value, kind):
    if kind == LANES:
        return value
    return _splat(builder, context.cast(builder, value, kind, types.float64))


def _as_bits(builder, mask):
    return builder.icmp_signed("<", mask, ir.Constant(_WORDS, None))


def _is_operand(kind):
    return kind == LANES or isinstance(kind, (types.Float, types.Integer))


def _call_llvm(builder, name, values, result=_VECTOR):
    kind = ir.FunctionType(result, [value.type for value in values])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, values)


def _fenced(builder, value):
    """The same lanes, kept by LLVM apart from what is done with them."""
    return _call_llvm(builder, f"llvm.arithmetic.fence.v{WIDTH}f64", [value])


def _elementwise(name, count):
    """An intrinsic that calls the LLVM function ``name`` on ``count`` operands, numbers being spread over the lanes."""

    def codegen(context, builder, sig, args):
        values = [_as_vector(context, builder, value, kind) for value, kind in zip(args, sig.args, strict=True)]
        return _call_llvm(builder, f"llvm.{name}.v{WIDTH}f64", values)

    def typed(*kinds):
        return (LANES(*kinds), codegen) if all(map(_is_operand, kinds)) else None

    if count == 1:
        return intrinsic(lambda typingctx, a: typed(a))
    if count == 2:
        return intrinsic(lambda typingctx, a, b: typed(a, b))
    return intrinsic(lambda typingctx, a, b, c: typed(a, b, c))


def _comparison(symbol):
    def codegen(context, builder, sig, args):
        left, right = (_as_vector(context, builder, v, k) for v, k in zip(args, sig.args, strict=True))
        return builder.sext(builder.fcmp_ordered(symbol, left, right), _WORDS)

    return intrinsic(lambda typingctx, a, b: (MASK(a, b), codegen) if _is_operand(a) and _is_operand(b) else None)


def _item_pointer(context, builder, array_type, array, index_type, index):
    if isinstance(array_type, types.CPointer):
        (position,) = cgutils.unpack_tuple(builder, index)
        position = context.cast(builder, position, index_type.types[0], types.intp)
        return builder.bitcast(builder.gep(array, [position]), _VECTOR.as_pointer())
    struct = context.make_array(array_type)(context, builder, array)
    positions = cgutils.unpack_tuple(builder, index, count=array_type.ndim)
    positions = [context.cast(builder, p, k, types.intp) for p, k in zip(positions, index_type.types, strict=True)]
    pointer = cgutils.get_item_pointer2(
        context, builder, struct.data,
        cgutils.unpack_tuple(builder, struct.shape, array_type.ndim),
        cgutils.unpack_tuple(builder, struct.strides, array_type.ndim),
        array_type.layout, positions, wraparound=False, boundscheck=False,
    )  # fmt: skip
    return builder.bitcast(pointer, _VECTOR.as_pointer())


def _is_place(array, index):
    if array == types.CPointer(types.float64):
        return isinstance(index, types.BaseTuple) and len(index) == 1
    return (
        isinstance(array, types.Array) and array.dtype == types.float64
        and isinstance(index, types.BaseTuple) and len(index) == array.ndim
    )  # fmt: skip


@intrinsic
def load(typingctx, array, index):
    """Eight neighbours along the last axis of a float64 array, the first at ``array[index]``."""
    if not _is_place(array, index):
        return None

    def codegen(context, builder, sig, args):
        pointer = _item_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        return builder.load(pointer, align=8)

    return LANES(array, index), codegen


@intrinsic
def spread(typingctx, array, index):
    """One number of a float64 array in all eight lanes; the index is not checked and not wrapped around."""
    if not _is_place(array, index):
        return None

    def codegen(context, builder, sig, args):
        pointer = _item_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        return _splat(builder, builder.load(builder.bitcast(pointer, _DOUBLE.as_pointer()), align=8))

    return LANES(array, index), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Write eight lanes to ``array[index]`` and its seven neighbours along the last axis."""
    if not _is_place(array, index) or not _is_operand(value):
        return None

    def codegen(context, builder, sig, args):
        pointer = _item_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        value = _as_vector(context, builder, args[2], sig.args[2])
        # Kept apart from the store: a select that keeps what is there would become a masked store, which takes an AMD
        # processor dozens of cycles and stalls the load that follows.
        builder.store(_fenced(builder, value), pointer, align=8)
        return context.get_dummy_value()

    return types.none(array, index, value), codegen


@intrinsic
def splat(typingctx, number):
    """The same number in all eight lanes."""

    def codegen(context, builder, sig, args):
        return _as_vector(context, builder, args[0], sig.args[0])

    return (LANES(number), codegen) if _is_operand(number) else None


@intrinsic
def select(typingctx, mask, yes, no):
    """``yes`` in the lanes where ``mask`` holds, ``no`` in the others."""
    if mask != MASK or not (_is_operand(yes) and _is_operand(no)):
        return None

    def codegen(context, builder, sig, args):
        left, right = (_as_vector(context, builder, v, k) for v, k in zip(args[1:], sig.args[1:], strict=True))
        return builder.select(_as_bits(builder, args[0]), left, right)

    return LANES(mask, yes, no), codegen


def _extremum(symbol):
    def codegen(context, builder, sig, args):
        left, right = (_as_vector(context, builder, v, k) for v, k in zip(args, sig.args, strict=True))
        return builder.select(builder.fcmp_ordered(symbol, left, right), left, right)

    return intrinsic(lambda typingctx, a, b: (LANES(a, b), codegen) if _is_operand(a) and _is_operand(b) else None)


@intrinsic
def bits(typingctx, mask):
    """The eight truth values as the bits of one integer, lane 0 lowest; 0 means none, 255 means all."""
    if mask != MASK:
        return None

    def codegen(context, builder, sig, args):
        return builder.zext(builder.bitcast(_as_bits(builder, args[0]), ir.IntType(WIDTH)), ir.IntType(64))

    return types.intp(mask), codegen


@intrinsic
def total(typingctx, value):
    """Sum of the eight lanes, pairwise and in a fixed order: ((0+4)+(2+6)) + ((1+5)+(3+7))."""
    if value != LANES:
        return None

    def codegen(context, builder, sig, args):
        vector, width = args[0], WIDTH
        while width > 1:
            width //= 2
            lower, upper = (
                builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), width), places))
                for places in (list(range(width)), list(range(width, 2 * width)))
            )
            vector = builder.fadd(lower, upper)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float64(value), codegen


fma = _elementwise("fma", 3)
sqrt = _elementwise("sqrt", 1)
absolute = _elementwise("fabs", 1)
minimum = _elementwise("minnum", 2)
# The second operand where the two do not compare (NaN): one instruction each, unlike minimum.
smaller = _extremum("<")
larger = _extremum(">")
less = _comparison("<")
less_equal = _comparison("<=")
equal = _comparison("==")


@intrinsic
def either(typingctx, a, b):
    """Lanes where at least one of two masks holds."""
    return (MASK(a, b), lambda c, builder, s, args: builder.or_(*args)) if a == MASK and b == MASK else None


@intrinsic
def both(typingctx, a, b):
    """Lanes where both masks hold."""
    return (MASK(a, b), lambda c, builder, s, args: builder.and_(*args)) if a == MASK and b == MASK else None


def _register_operator(symbol, build):
    @infer_global(symbol)
    class LanesOperator(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and LANES in args and all(map(_is_operand, args)):
                return signature(LANES, *args)
            return None

    def lower(context, builder, sig, args):
        values = [_as_vector(context, builder, value, kind) for value, kind in zip(args, sig.args, strict=True)]
        return getattr(builder, build)(*values)

    for number in (types.Float, types.Integer):
        lower_builtin(symbol, LanesType, number)(lower)
        lower_builtin(symbol, number, LanesType)(lower)
    lower_builtin(symbol, LanesType, LanesType)(lower)
    return LanesOperator


for _symbol, _build in (
    (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
):  # fmt: skip
    _register_operator(_symbol, _build)


@infer_global(operator.neg)
class _LanesNegation(AbstractTemplate):
    def generic(self, args, kws):
        return signature(LANES, LANES) if args == (LANES,) else None


@lower_builtin(operator.neg, LanesType)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])


if config.DISABLE_JIT:
    from .numpy_twin import *  # noqa: F403
