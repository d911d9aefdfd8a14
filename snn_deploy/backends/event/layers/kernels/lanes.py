"""What the compiler has no words for: numbers side by side, and bits.

Everything here is portable: the compiler makes of it what the machine has. Only compiled code can
call these functions.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from snn_deploy.backends.event.flat import LINE

_emitted: Callable[[Callable[..., Any]], Any] = intrinsic

_LONG = ir.IntType(64)


@_emitted
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


@_emitted
def marks_at(typing: Any, numbers: Any, at: Any) -> Any:
    """Return which of the numbers from `at` on are not 0: one bit each, the first one lowest.

    As many as a line holds; there has to be a whole line of them.
    """
    lanes = LINE * 8 // numbers.dtype.bitwidth

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        vector = ir.VectorType(ir.IntType(LINE * 8 // lanes), lanes)
        place = builder.bitcast(builder.gep(array.data, [arguments[1]]), vector.as_pointer())
        read = builder.load(place, align=1)
        marks = builder.icmp_unsigned("!=", read, ir.Constant(vector, [0] * lanes))
        bits = builder.bitcast(marks, ir.IntType(lanes))
        return bits if lanes == _LONG.width else builder.zext(bits, _LONG)

    return types.uint64(numbers, types.intp), emit


@_emitted
def lowest_bit(typing: Any, bits: Any) -> Any:
    """Return the number of the lowest bit that is 1; 64 where none is."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), emit


@_emitted
def count_bits(typing: Any, bits: Any) -> Any:
    """Return how many bits are 1."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), emit


@_emitted
def add_lanes(typing: Any, sums: Any, to: Any, weights: Any, first: Any, lanes: Any) -> Any:
    """Add `lanes` weights, a constant, from `first` on to the sums from `to` on."""
    if not isinstance(lanes, types.IntegerLiteral):
        raise RequireLiteralValue("lanes")
    many = lanes.literal_value

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        into = _lanes(context, builder, (kinds[0], arguments[0]), arguments[1], many)
        row = _lanes(context, builder, (kinds[2], arguments[2]), arguments[3], many)
        added = builder.add(_read(builder, into), _widened(builder, row, into))
        builder.store(added, into, align=1)
        return context.get_dummy_value()

    return types.void(sums, types.intp, weights, types.intp, lanes), emit


@_emitted
def add_rows_of_lanes(
    typing: Any,
    sums: Any,
    to: Any,
    weights: Any,
    first: Any,
    stride: Any,
    rows: Any,
    minus: Any,
    lanes: Any,
    registers: Any,
) -> Any:
    """Add parts of rows of weights to the sums from `to` on, which stay in registers meanwhile.

    Row r begins at `first + r * stride`; its part has `lanes` weights for each of `registers`, both
    constants. `minus`: subtract them.
    """
    if not all(isinstance(number, types.IntegerLiteral) for number in (lanes, registers)):
        raise RequireLiteralValue("lanes")
    many, wide = lanes.literal_value, registers.literal_value

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        listed = context.make_array(kinds[5])(context, builder, arguments[5])
        count = builder.extract_value(listed.shape, 0)
        begins = [builder.add(arguments[1], _word(k * many)) for k in range(wide)]
        into = [_lanes(context, builder, (kinds[0], arguments[0]), at, many) for at in begins]
        zero = ir.Constant(into[0].type.pointee, None)
        totals = [cgutils.alloca_once_value(builder, zero) for _ in into]
        with cgutils.for_range(builder, count, intp=_LONG) as loop:
            row = builder.load(builder.gep(listed.data, [loop.index]))
            at = builder.add(arguments[3], builder.mul(builder.sext(row, _LONG), arguments[4]))
            for k, total in enumerate(totals):
                place = builder.add(at, _word(k * many))
                part = _lanes(context, builder, (kinds[2], arguments[2]), place, many)
                more = _widened(builder, part, into[k])
                builder.store(builder.add(builder.load(total), more), total)
        for total, place in zip(totals, into, strict=True):
            before, more = _read(builder, place), builder.load(total)
            signed = builder.select(
                arguments[6], builder.sub(before, more), builder.add(before, more)
            )
            builder.store(signed, place, align=1)
        return context.get_dummy_value()

    given = (sums, types.intp, weights, types.intp, types.intp, rows, types.boolean)
    return types.void(*given, lanes, registers), emit


def _word(number: int) -> ir.Constant:
    return ir.Constant(_LONG, number)


def _lanes(context: Any, builder: ir.IRBuilder, array: tuple[Any, Any], at: Any, lanes: int) -> Any:
    """Return where some numbers of an array stand, as lanes."""
    kind, value = array
    numbers = context.make_array(kind)(context, builder, value)
    vector = ir.VectorType(ir.IntType(kind.dtype.bitwidth), lanes)
    return builder.bitcast(builder.gep(numbers.data, [at]), vector.as_pointer())


def _read(builder: ir.IRBuilder, place: Any) -> Any:
    return builder.load(place, align=1)


def _widened(builder: ir.IRBuilder, row: Any, into: Any) -> Any:
    """Read the lanes of `row`, as numbers of the width that `into` has."""
    wanted, read = into.type.pointee, _read(builder, row)
    return read if read.type == wanted else builder.sext(read, wanted)
