"""The members of one group of a lava-dl file, as whole numbers or text, checked.

lava-dl's netx casts weights and biases to integers, toward zero; so do we, and a finding says so
where that changes a number. Everything else must be a whole number.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import h5py
import numpy as np
from jaxtyping import Int64

from snn_deploy.errors import DoesNotFitError, FileDamagedError, NotFiniteError, ShapeError
from snn_deploy.frontends.hdf5 import Hdf5File
from snn_deploy.ir.findings import Finding, Kind
from snn_deploy.ir.maps import Shape
from snn_deploy.ir.sizes import allowed, higher

LARGEST_NUMBER = 2**31 - 1
"""Of any number of a file: programs store 32 bits."""

MOST_NEURONS = 2**24
"""Of one layer."""

MOST_AXES = 3


@dataclass(slots=True, kw_only=True)
class Fields:
    """One group of the file: a layer, or the neurons of one."""

    file: Hdf5File
    group: h5py.Group
    where: str
    """File and path of the group, for errors."""

    layer: str
    """What findings call the layer."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The members."""
        return self.file.names(self.group, self.where)

    def at(self, name: str) -> str:
        """Return where a member lies, for errors."""
        return f"{self.where}/{name}"

    def found(self, amount: str, reason: str, kind: Kind = Kind.CHANGED) -> None:
        """Note a finding of this layer."""
        self.findings.append(Finding(kind=kind, layer=self.layer, amount=amount, reason=reason))

    def inner(self, name: str) -> "Fields | None":
        """Return the group `name` inside of this one; None: there is none.

        Raises:
            FileDamagedError: it is a dataset.
        """
        member = self.file.child(self.group, name, self.where)
        if member is None:
            return None
        if not isinstance(member, h5py.Group):
            raise FileDamagedError("a dataset where a group belongs", where=self.at(name))
        return Fields(
            file=self.file,
            group=member,
            where=self.at(name),
            layer=self.layer,
            findings=self.findings,
        )

    def is_group(self, name: str) -> bool:
        """Return whether the member `name` is a group."""
        return isinstance(self.file.child(self.group, name, self.where), h5py.Group)

    def text(self, name: str) -> str:
        """Return a member that is text.

        Raises:
            FileDamagedError: it is missing, or no text.
        """
        value = self._value(name)
        if not isinstance(value, str):
            raise FileDamagedError("a number where text belongs", where=self.at(name))
        return value

    def has(self, name: str) -> bool:
        """Return whether there is a member `name`."""
        return self.file.child(self.group, name, self.where) is not None

    def whole(self, name: str) -> Int64[np.ndarray, "..."]:
        """Return a member that holds whole numbers.

        Raises:
            FileDamagedError: it is missing, or holds others.
            NotFiniteError: a NaN or an infinity.
            DoesNotFitError: a number beyond 32 bits.
        """
        values = self._numbers(name)
        wrong = values[values != np.trunc(values)]
        if wrong.size:
            raise FileDamagedError(
                f"{float(wrong.flat[0]):g} where whole numbers belong", where=self.at(name)
            )
        return values.astype(np.int64)

    def truncated(self, name: str) -> Int64[np.ndarray, "..."]:
        """Return a member as whole numbers, cut toward zero as netx does, with a finding.

        Raises:
            FileDamagedError: it is missing, or holds no numbers.
            NotFiniteError: a NaN or an infinity.
            DoesNotFitError: a number beyond 32 bits.
        """
        values = self._numbers(name)
        whole = values.astype(np.int64)
        cut = np.count_nonzero(whole != values)
        if cut:
            self.found(
                f"{cut} of {values.size} values of {name} are cut to whole numbers, toward zero",
                "lava-dl's netx casts them so; files that slayer exports hold whole numbers",
            )
        return whole

    def one(self, name: str, low: int = 0, high: int = LARGEST_NUMBER) -> int:
        """Return a member that holds a single whole number from `low` to `high`.

        Raises:
            FileDamagedError: it is missing, holds several, or one outside.
            NotFiniteError: a NaN or an infinity.
            DoesNotFitError: a number beyond 32 bits.
        """
        values = self.whole(name)
        if values.size != 1:
            raise FileDamagedError(f"{values.size} numbers where one belongs", where=self.at(name))
        number = int(values.flat[0])
        self._check_range(number, low, high, name)
        return number

    def pair(self, name: str, low: int, high: int) -> tuple[int, int]:
        """Return a member that holds one number for both axes, or two: height and width.

        Raises:
            FileDamagedError: it is missing, holds others, or one outside `low` to `high`.
            NotFiniteError: a NaN or an infinity.
            DoesNotFitError: a number beyond 32 bits.
        """
        values = self.whole(name).ravel().tolist()
        if len(values) not in (1, 2):
            raise FileDamagedError(
                f"{len(values)} numbers where height and width belong", where=self.at(name)
            )
        for number in values:
            self._check_range(number, low, high, name)
        return values[0], values[-1]

    def shape(self, name: str = "shape") -> Shape:
        """Return a member that is a shape.

        Raises:
            FileDamagedError: it is missing, or holds others.
            ShapeError: it is no shape of 1 to 3 axes, or too large.
            NotFiniteError: a NaN or an infinity.
            DoesNotFitError: a number beyond 32 bits.
        """
        axes = [int(axis) for axis in self.whole(name).ravel()[: MOST_AXES + 1]]
        if not 1 <= len(axes) <= MOST_AXES or min(axes) < 1:
            raise ShapeError(f"{axes} is no shape of a layer", where=self.at(name))
        size = 1
        for axis in axes:
            size *= axis
        if size > allowed(MOST_NEURONS):
            raise ShapeError(
                f"a layer of {size} neurons; at most {allowed(MOST_NEURONS)} are read",
                where=self.at(name),
                fix=higher(size, MOST_NEURONS),
            )
        return tuple(axes)

    def report_unused(self, known: Iterable[str]) -> None:
        """Note what stands in this group and is read by neither netx nor us."""
        unknown = sorted(set(self.names) - set(known))
        if unknown:
            self.found(
                f"not read: {', '.join(unknown[:8])}{', ...' if len(unknown) > 8 else ''}",
                "lava-dl's netx knows no such field and passes over it",
            )

    def _check_range(self, number: int, low: int, high: int, name: str) -> None:
        if not low <= number <= high:
            raise FileDamagedError(f"{number} where {low}..{high} belongs", where=self.at(name))

    def _numbers(self, name: str) -> np.ndarray:
        values = self._value(name)
        if isinstance(values, str):
            raise FileDamagedError("text where numbers belong", where=self.at(name))
        if values.size == 0:
            raise FileDamagedError("no number at all", where=self.at(name))
        wrong = np.count_nonzero(~np.isfinite(values))
        if wrong:
            raise NotFiniteError(
                f"{wrong} of {values.size} values are NaN or infinite",
                where=self.at(name),
                fix="train again, or repair the file: no chip stores NaN",
            )
        # compared one-sided: the absolute value of the lowest integer is no integer
        if values.max() > LARGEST_NUMBER or values.min() < -LARGEST_NUMBER:
            raise DoesNotFitError(
                f"values of {values.min():g}..{values.max():g}; "
                f"at most {LARGEST_NUMBER} in size are stored",
                where=self.at(name),
            )
        return values.astype(np.uint8) if values.dtype.kind == "b" else values

    def _value(self, name: str) -> np.ndarray | str:
        member = self.file.child(self.group, name, self.where)
        if member is None:
            raise FileDamagedError(f"it lacks {name!r}", where=self.where)
        if isinstance(member, h5py.Group):
            raise FileDamagedError("a group where a value belongs", where=self.at(name))
        return self.file.value(member, self.at(name))
