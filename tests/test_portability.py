"""Lane operations are machine code on every processor the package may meet, emitted here by cross-compiling."""

import re

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from fastmodes.kernels.simd import lanes, machine
from numba import types

TARGETS = {
    "x86-64": ("x86_64-unknown-linux-gnu", "x86-64", ""),
    "haswell": ("x86_64-unknown-linux-gnu", "haswell", ""),
    "skylake-avx512": ("x86_64-unknown-linux-gnu", "skylake-avx512", "+prefer-256-bit"),
    "aarch64": ("aarch64-unknown-linux-gnu", "generic", ""),
}

#: The instruction that fuses a multiplication with an addition; the oldest x86-64 has none and calls the C library.
FUSED = {
    "x86-64": r"\bfma\b",
    "haswell": r"vfn?m(add|sub)",
    "skylake-avx512": r"vfn?m(add|sub)",
    "aarch64": r"\bfmla\b",
}


def _masks(x, out):
    a, b = lanes.load(x, (0,)), lanes.load(x, (8,))
    mask = lanes.either(lanes.both(lanes.less(a, b), lanes.less_equal(b, 3.0)), lanes.equal(a, b))
    lanes.store(out, (0,), lanes.select(mask, a, b))


def _negative(x, out):
    a = lanes.load(x, (0,))
    lanes.store(out, (0,), lanes.select(machine.negative(a), a, 1.0))


def _unary(name):
    function = getattr(lanes, name, None) or getattr(machine, name)

    def body(x, out):
        lanes.store(out, (0,), function(lanes.load(x, (0,))))

    return body


def _binary(name):
    function = getattr(lanes, name, None) or getattr(machine, name)

    def body(x, out):
        lanes.store(out, (0,), function(lanes.load(x, (0,)), lanes.load(x, (8,))))

    return body


def _arithmetic(x, out):
    a, b = lanes.load(x, (0,)), lanes.spread(x, (8,))
    lanes.store(out, (0,), -(a + b) * (a - lanes.splat(2.0)) / b)


def _fma(x, out):
    lanes.store(out, (0,), lanes.fma(lanes.load(x, (0,)), lanes.load(x, (8,)), lanes.load(out, (0,))))


def _total(x, out):
    out[0] = lanes.total(lanes.load(x, (0,)))


def _bits(x, out):
    out[0] = machine.lowest(lanes.bits(lanes.less(lanes.load(x, (0,)), 0.0)) | 256)


def _fetch(x, out):
    machine.fetch(x, (1000,))
    out[0] = x[0]


def _bytes(x, out):
    machine.store_bytes(out, (0,), lanes.load(x, (0,)))


def _attributes(x, out):
    machine.aligned_stack()
    machine.out_of_line()
    lanes.store(out, (0,), lanes.load(x, (0,)))


BODIES = {
    "masks": _masks, "negative": _negative, "arithmetic": _arithmetic, "fma": _fma, "total": _total, "bits": _bits,
    "fetch": _fetch, "store_bytes": _bytes, "attributes": _attributes,
} | {name: _unary(name) for name in ("sqrt", "absolute", "rough_eighth_root", "power_of_two")}  # fmt: skip
BODIES |= {name: _binary(name) for name in ("minimum", "smaller", "larger", "with_sign_of")}


@pytest.fixture(scope="module")
def written():
    """LLVM's language for every operation, as the compiler of this machine leaves it."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    found = {}
    for name, body in BODIES.items():
        result = types.int8[::1] if name == "store_bytes" else types.float64[::1]
        compiled = numba.njit(
            (types.float64[::1], result), error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
        )(body)
        (found[name],) = compiled.inspect_llvm().values()
    return found


def assembly(text, target):
    triple, processor, features = TARGETS[target]
    machine_of_target = llvm.Target.from_triple(triple).create_target_machine(cpu=processor, features=features, opt=3)
    text = re.sub(r"^target triple = .*$", f'target triple = "{triple}"', text, flags=re.MULTILINE)
    layout = machine_of_target.target_data
    text = re.sub(r"^target datalayout = .*$", f'target datalayout = "{layout}"', text, flags=re.MULTILINE)
    module = llvm.parse_assembly(text)
    module.verify()
    return machine_of_target.emit_assembly(module)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BODIES)
def test_lane_operations_are_emitted(name, target, written):
    code = assembly(written[name], target)
    called = re.findall(r"\b(?:callq?|bl)\s+([^*\s]\S*)|movabsq?\s+\$([A-Za-z_]\w*)", code)
    names = {"".join(pair) for pair in called} - {"NRT_incref", "NRT_decref"}
    # Only the oldest processors have an operation made by the C library: the exact fused multiply-add.
    assert names <= ({"fma", "fma@PLT"} if (name, target) == ("fma", "x86-64") else set()), names
    if name == "fma":
        assert re.search(FUSED[target], code)


def test_every_operation_is_looked_at():
    source = " ".join(np.unique([*BODIES, *_names_used()]))
    for module in (lanes, machine):
        for key, value in vars(module).items():
            if isinstance(value, numba.extending._Intrinsic) and not key.startswith("_"):
                assert key in source.split(), f"{module.__name__}.{key}"


def _names_used():
    for body in BODIES.values():
        yield from body.__code__.co_names
