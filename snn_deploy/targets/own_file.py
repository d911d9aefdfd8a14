"""A user's own TOML file: its bytes, and one error for all that is wrong in it."""

from collections.abc import Sequence
from pathlib import Path

from snn_deploy.errors import DeployError
from snn_deploy.ir.sizes import allowed, or_higher
from snn_deploy.targets.form import Problem

LARGEST_FILE = 2**20
"""Bytes of such a file; those that come with the package have a fiftieth of that or less."""

MOST_PROBLEMS = 8
"""Of one file that an error lists."""


def content_of(path: Path, what: str, error: type[DeployError], fix: str) -> bytes:
    """Return what a file holds.

    Args:
        path: The file.
        what: What it describes, with its article.
        error: What is raised.
        fix: The way out where it is too large.

    Raises:
        DeployError: `error`: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(allowed(LARGEST_FILE) + 1)
    except OSError as problem:
        raise error(
            f"the {what.split(maxsplit=1)[1]} cannot be read: {problem.strerror}", where=str(path)
        ) from problem
    if len(content) > allowed(LARGEST_FILE):
        raise error(
            f"{what} has at most {allowed(LARGEST_FILE)} bytes; this file has more",
            where=str(path),
            fix=or_higher(fix, len(content), LARGEST_FILE),
        )
    return content


def refusal(
    problems: Sequence[Problem], where: str, what: str, error: type[DeployError], fix: str
) -> DeployError:
    """Return the error for one problem of a file, or for a list of them.

    Args:
        problems: At least one.
        where: The file.
        what: What it describes.
        error: What is returned.
        fix: The way out where there are several.
    """
    if len(problems) == 1:
        only = problems[0]
        return error(only.message, where=f"{where}, {only.path}", fix=only.fix)
    lines = [f"    {problem}: {problem.fix}" for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"    and {len(problems) - MOST_PROBLEMS} more")
    return error(
        "\n".join([f"{len(problems)} entries of the {what} are wrong", *lines]),
        where=where,
        fix=fix,
    )
