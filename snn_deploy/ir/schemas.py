"""Numbers of what is written: a record of an older number is brought up to this version's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snn_deploy.errors import ArtifactDamagedError, DeployError

Record = dict[str, Any]
Upgrade = Callable[[Record], Record]

LATEST = "read it with the version of snn-deploy that wrote it, or a later one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What a kind of record is called, and how older ones become one of today.

    A written record says its schema, such as `snn-deploy/artifact/2`. The number goes up when a
    reader of the old one would misread the new one, or could not read it.
    """

    name: str
    upgrades: tuple[Upgrade, ...] = ()
    """The first makes a record of number 1 one of number 2, the next one of number 3, ..."""

    unnamed: int | None = None
    """Number of a record that says no schema; None: there are none such."""

    error: type[DeployError] = ArtifactDamagedError
    """What is raised for a record of another schema."""

    @property
    def number(self) -> int:
        """What this version writes."""
        return 1 + len(self.upgrades)

    @property
    def label(self) -> str:
        """How a record says it."""
        return f"snn-deploy/{self.name}/{self.number}"

    def number_of(self, record: Any, where: str = "") -> int:
        """Return the number of a record that this version reads.

        Raises:
            DeployError: `error`: it is of a newer number, of another schema, or of none.
        """
        said = record.get("schema") if isinstance(record, Mapping) else None
        if said is None and self.unnamed is not None and isinstance(record, Mapping):
            return self.unnamed
        labels = [f"snn-deploy/{self.name}/{number}" for number in range(1, self.number + 1)]
        if said in labels:
            return 1 + labels.index(said)
        raise self.error(
            f"this is no {self.name} that this version reads: its schema is {said!a:.60}, "
            f"not {' or '.join(map(repr, labels))}",
            where=where,
            fix=LATEST if self._is_newer(said) else "export the model again",
        )

    def upgraded(self, record: Any, where: str = "") -> Record:
        """Return a record as this version would have written it; `record` stays as it is.

        Raises:
            DeployError: `error`: it is of a newer number, of another schema, or of none.
        """
        made: Record = dict(record) if isinstance(record, Mapping) else {}
        for upgrade in self.upgrades[self.number_of(record, where) - 1 :]:
            made = upgrade(made)
        return {**made, "schema": self.label}

    def _is_newer(self, said: Any) -> bool:
        start, _, number = said.rpartition("/") if isinstance(said, str) else ("", "", "")
        known = start == f"snn-deploy/{self.name}" and number.isdecimal() and len(number) < 10
        return known and int(number) > self.number
