"""What the compiler has no words for: numbers side by side, and bits.

Everything here is portable: the compiler makes of it what the machine has. numba gives no types to
`intrinsic`, so these functions are only called from compiled code.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_LANE_BYTES = 64
"""Bytes that are read at once; readers may read as many behind an array's last number."""

_LONG = ir.IntType(64)


@intrinsic  # type: ignore[misc, unused-ignore]
def widest_lanes(typing: Any) -> Any:
    """Let the function that calls this use the machine's widest registers.

    On machines that have some of 512 bits, compilers else keep to 256 because the first ones
    lowered their clock; for the long runs of these kernels the wider ones are faster.
    """

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        # A set of strings; its own `add` knows only attributes without a value.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic  # type: ignore[misc, unused-ignore]
def marks_at(typing: Any, numbers: Any, at: Any) -> Any:
    """Return which of the numbers from `at` on are not 0: one bit each, the first one lowest.

    As many as 64 bytes hold; there have to be so many bytes.
    """
    lanes = _LANE_BYTES * 8 // numbers.dtype.bitwidth

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        vector = ir.VectorType(ir.IntType(_LANE_BYTES * 8 // lanes), lanes)
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), vector.as_pointer())
        read = builder.load(place, align=1)
        marks = builder.icmp_unsigned("!=", read, ir.Constant(vector, [0] * lanes))
        bits = builder.bitcast(marks, ir.IntType(lanes))
        return bits if lanes == _LONG.width else builder.zext(bits, _LONG)

    return types.uint64(numbers, types.intp), emit


@intrinsic  # type: ignore[misc, unused-ignore]
def lowest_bit(typing: Any, bits: Any) -> Any:
    """Return the number of the lowest bit that is 1; 64 where none is."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), emit


@intrinsic  # type: ignore[misc, unused-ignore]
def count_bits(typing: Any, bits: Any) -> Any:
    """Return how many bits are 1."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), emit
