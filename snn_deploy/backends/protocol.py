"""What a backend is, and how one is found by name."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

import numpy as np

from snn_deploy.errors import DataError, InputRangeError, UnknownNameError
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.limits import WORD_HIGH, WORD_LOW, check_room
from snn_deploy.ir.program import Program
from snn_deploy.ir.trace import Recording, Trace, Values
from snn_deploy.ir.words import nearest
from snn_deploy.targets import Target

Progress = Callable[[int, int], None]
"""Called with (done, all) now and then during a long run."""


def silent(done: int, total: int) -> None:
    """Report no progress."""


@runtime_checkable
class Backend(Protocol):
    """Runs a program, or writes it down for something that does."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    def emit(self, program: Program, target: Target) -> Mapping[str, bytes]:
        """Return file contents by relative path. Same program, same bytes."""

    def run(
        self,
        program: Program,
        inputs: Sequence[Values],
        record: Recording,
        progress: Progress = silent,
    ) -> Trace:
        """Run `program` on integer `inputs` [sample, step, *shape], each sample from its start.

        It runs steps + program.lag steps; inputs are 0 after their own steps. States of the
        trace are the registers at the end of each step.

        Raises:
            InputRangeError: a value lies outside what the program declares.
            DataError: an input is missing, or has a wrong shape or dtype.
        """

    def supports(self, program: Program, target: Target) -> Sequence[Finding]:
        """Return what does not run natively on the chip, each with its reason."""


def find_backend(name: str, option: str = "--backend") -> Backend:
    """Return the backend called `name`, from the entry points `snn_deploy.backends`.

    Args:
        name: As the user gives it.
        option: Where the user gives it.

    Raises:
        UnknownNameError: there is none.
    """
    known = {entry.name: entry for entry in entry_points(group="snn_deploy.backends")}
    if name not in known:
        near = nearest(name, known)
        raise UnknownNameError(
            f"no backend is called {name!r}; there are {', '.join(sorted(known))}",
            fix=f"{option} {near}" if near else "",
        )
    backend = known[name].load()()
    assert isinstance(backend, Backend), name
    return backend


def padded(program: Program, inputs: Sequence[Values]) -> tuple[Values, ...]:
    """Return `inputs` as `checked` does, with `program.lag` steps of zeros behind, as int32.

    Raises:
        InputRangeError: a value lies outside what the program declares.
        DataError: see `checked`, or the copies need more memory than there is.
    """
    given = checked(program, inputs)
    samples, steps = given[0].values.shape[:2]
    values = sum(entry.size for entry in program.inputs)
    check_room("the inputs of a run", (samples, steps + program.lag, values))
    return tuple(
        Values(
            name=entry.name,
            values=np.pad(
                entry.values.astype(np.int32),
                ((0, 0), (0, program.lag), *((0, 0) for _ in entry.values.shape[2:])),
            ),
        )
        for entry in given
    )


def checked(program: Program, inputs: Sequence[Values]) -> tuple[Values, ...]:
    """Return `inputs` in the program's order; no array is copied.

    Raises:
        InputRangeError: a value lies outside what the program declares.
        DataError: an input is missing, has a wrong shape or dtype, or needs more memory than there
            is.
    """
    given = {values.name: values.values for values in inputs}
    names = [entry.name for entry in program.inputs]
    if sorted(given) != sorted(names):
        raise DataError(
            f"the program has the inputs {', '.join(names)}; given are {', '.join(given) or 'none'}"
        )
    lead = {array.shape[:2] for array in given.values()}
    if len(lead) != 1:
        raise DataError(f"the inputs differ in samples or steps: {sorted(lead)}")
    steps = next(iter(lead))[1] + program.lag
    longest = max((int(p.delay.max(initial=0)) for p in program.projections), default=0)
    neurons = sum(node.size for node in program.nodes)
    check_room("what is under way in a sample", (min(longest, steps), neurons), 8)
    for entry in program.inputs:
        array = given[entry.name]
        if array.shape[2:] != entry.shape:
            raise DataError(
                f"each step of the input has shape {array.shape[2:]}, "
                f"but the program reads {entry.shape}",
                where=entry.name,
                fix=f"give an array of shape [sample, step, {', '.join(map(str, entry.shape))}]",
            )
        if array.dtype.kind not in "iub":
            raise DataError(
                f"an integer program reads whole numbers, not {array.dtype}", where=entry.name
            )
        check_range(array, entry.name, entry.low, entry.high)
    return tuple(Values(name=name, values=given[name]) for name in names)


def check_range(array: np.ndarray, name: str, low: int, high: int) -> None:
    """Refuse input values outside `low` to `high`.

    Raises:
        InputRangeError: with the first one.
    """
    if array.size and (array.min() < low or array.max() > high):
        outside = np.argwhere((array < low) | (array > high))
        first = tuple(int(i) for i in outside[0])
        least, most = min(low, int(array.min())), max(high, int(array.max()))
        fits = least >= WORD_LOW and most <= WORD_HIGH
        raise InputRangeError(
            f"the input value {int(array[first])} lies outside the declared {low}..{high}",
            where=f"{name}{list(first)}, first of {len(outside)}",
            fix=f"export again with --input-range {least}:{most}"
            if fits
            else "export again with --input-unit U and --input-range LOW:HIGH in 32 bits: "
            "the program reads rint(value / U)",
        )
