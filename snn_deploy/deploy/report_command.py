"""What the command `report` does: collect, and perhaps draw a page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snn_deploy.deploy.artifact import check_file, write_file
from snn_deploy.deploy.data import Data
from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.progress import say
from snn_deploy.deploy.report.gathering import gather
from snn_deploy.deploy.report.measuring import measure
from snn_deploy.deploy.report.model import Report
from snn_deploy.deploy.report.page import check_libraries, page


def check(output: Path, *, force: bool, reads: Iterable[Any] = ()) -> None:
    """Refuse a page that cannot be drawn, or must not be written.

    Raises:
        MissingLibraryError: what draws it is not installed.
        OutputExistsError: the file is there, and `force` is not given.
    """
    check_libraries()
    check_file(output, force=force, reads=reads)


def report(
    deployment: Deployment, data: Data | None, *, output: Path | None, force: bool, dry_run: bool
) -> Report:
    """Return the report of a deployment, measured on `data` if there is any; see `api.report`."""
    found = deployment.report if data is None else gather(deployment, measure(deployment, data))
    if output is not None:
        content = page(found)
        if dry_run:
            say(f"would write {output}: {len(content):,} bytes")
        else:
            write_file(content, output, force=force)
            say(f"wrote {output}")
    return found
