"""What a command returned, as JSON or as text."""

from typing import Any

import msgspec
import numpy as np

from snn_deploy.deploy.deployment import Deployment
from snn_deploy.deploy.mapped import in_words
from snn_deploy.deploy.ranges import ranges_of
from snn_deploy.deploy.report.page import left_out
from snn_deploy.deploy.results import Export


def printable(result: Any) -> str:
    """Return the human text of a result."""
    return str(_shown(result))


def as_record(result: Any) -> str:
    """Return a result as one JSON object."""
    shown = _shown(result)
    record = msgspec.to_builtins(shown, enc_hook=_plain)
    record |= {name: getattr(shown, name) for name in getattr(shown, "derived", ())}
    return msgspec.json.format(msgspec.json.encode(record, enc_hook=_plain), indent=2).decode()


def _shown(result: Any) -> Any:
    if not isinstance(result, Deployment):
        return result
    return Export(
        name=result.program.name,
        target=result.program.target,
        folder=str(result.folder or ""),
        written=result.folder is not None and result.folder.is_dir(),
        digest=result.program.digest,
        files={name: len(content) for name, content in sorted(result.files.items())},
        lag=max(result.program.population(o.population).lag for o in result.program.outputs),
        layers=result.layers,
        findings=result.findings,
        left_out=left_out(),
        ranges=ranges_of(result.program, result.target, result.encoding.steps),
        cores="" if result.core_map is None else in_words(result.core_map),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value))
