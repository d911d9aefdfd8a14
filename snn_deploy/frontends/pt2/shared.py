"""Values of an exported model that share their numbers: an operation in place changes them all.

Values here never change. torch.export names what an operation in place gives, and reads that name
from there on; but a view of the same numbers keeps its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from snn_deploy.errors import UnknownNodeError
from snn_deploy.frontends.pt2.file import ExportedOp

VIEWS = frozenset(
    (
        *("t", "numpy_T", "permute", "flatten", "view", "_unsafe_view", "reshape"),
        *("unsqueeze", "squeeze", "dropout", "feature_dropout", "alias", "contiguous", "detach"),
    )
)
"""Operations that may give the numbers of what they read; a dropout that drops nothing does."""


def check_shared(
    ops: Sequence[ExportedOp], outputs: Sequence[str], prefix: str, where: str
) -> None:
    """Refuse a value that is read after another view of its numbers was changed in place.

    Args:
        ops: In the order in which they act.
        outputs: Values that the model gives.
        prefix: Of the names of operations.
        where: The file, for errors.

    Raises:
        UnknownNodeError: a value is read so.
    """
    owner: dict[str, str] = {}
    made: dict[str, int] = {}
    changed: dict[str, tuple[int, str]] = {}

    def check(name: str) -> None:
        place, by = changed.get(owner.get(name, name), (-1, ""))
        if made.get(name, -1) < place:
            raise UnknownNodeError(
                f"a value is read that {by[:80]} changed in place, through another view",
                where=f"{where}: {name[:80]}",
                fix="save program.run_decompositions(), which changes nothing in place",
            )

    for place, op in enumerate(ops):
        read = [name for argument in op.arguments.values() for name in names(argument)]
        for name in read:
            check(name)
        made |= dict.fromkeys(op.outputs, place)
        kind = op.target.removeprefix(prefix).partition(".")[0]
        in_place = kind.endswith("_")
        if read and op.outputs and (in_place or kind in VIEWS):
            root = owner.get(read[0], read[0])
            owner[op.outputs[0]] = root
            if in_place:
                changed[root] = place, op.target
    for name in outputs:
        check(name)


def names(argument: Mapping[str, Any]) -> list[str]:
    """Return the tensors that an argument names."""
    found = []
    for kind, value in argument.items():
        if kind == "as_tensor" and isinstance(value, dict):
            found.append(str(value.get("name")))
        elif kind == "as_tensors" and isinstance(value, list):
            found += [str(each.get("name")) for each in value if isinstance(each, dict)]
    return found
