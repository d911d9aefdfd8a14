"""What a program may rely on: a change of these names and arguments is a change of version."""

import inspect
from collections.abc import Iterator

import snn_deploy


def lines() -> Iterator[str]:
    """Yield every public name with its arguments."""
    for name in sorted(snn_deploy.__all__):
        taken = inspect.signature(getattr(snn_deploy, name)).parameters.values()
        yield name
        for one in taken:
            given = "" if one.default is one.empty else f" = {one.default!r}"
            yield f"    {one.kind.description:16} {one.name}{given}"


def test_public_names_and_their_arguments_are_those_of_this_version(golden) -> None:
    golden("\n".join(lines()) + "\n")


def test_a_notebook_is_told_every_public_name() -> None:
    assert set(snn_deploy.__all__) <= set(dir(snn_deploy))
