"""Blocks as workers get them, and the deployment as it is sent to them."""

import pickle
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from snn_deploy.deploy.data import Data
from snn_deploy.deploy.datasets.opening import reopened
from snn_deploy.deploy.datasets.source import Request
from snn_deploy.deploy.deployment import Deployment, read_deployment
from snn_deploy.deploy.evaluating_block import Found, Question, run_block
from snn_deploy.deploy.workers import Job
from snn_deploy.errors import ArtifactDamagedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A deployment for other processes: where it lies, or, where it lies nowhere, itself."""

    digest: str
    folder: Path | None
    pickled: bytes | None

    @classmethod
    def of(cls, deployment: Deployment) -> "Model":
        """Return a deployment as it is sent to workers."""
        digest, folder = deployment.program.digest, deployment.folder
        if folder is not None and folder.is_dir():
            return cls(digest=digest, folder=folder.resolve(), pickled=None)
        pickled = pickle.dumps(replace(deployment))  # without what it has computed and kept
        return cls(digest=sha256(pickled).hexdigest(), folder=None, pickled=pickled)


@lru_cache(maxsize=2)
def _folder(folder: Path, digest: str) -> Deployment:
    deployment = read_deployment(folder)
    if deployment.program.digest != digest:
        raise ArtifactDamagedError(
            "the artifact was replaced while it was evaluated", where=str(folder)
        )
    return deployment


@dataclass(slots=True)
class _Kept:
    """The last deployment that was sent as itself."""

    digest: str = ""
    deployment: Deployment | None = None


_KEPT = _Kept()


def _deployment(model: Model) -> Deployment:
    if model.folder is not None:
        return _folder(model.folder, model.digest)
    if _KEPT.deployment is None or _KEPT.digest != model.digest:
        assert model.pickled is not None
        made = pickle.loads(model.pickled)  # noqa: S301 - our own process pickled it
        assert isinstance(made, Deployment)
        _KEPT.digest, _KEPT.deployment = model.digest, made
        return made
    return _KEPT.deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Job[Found]):
    """A block as a worker gets it."""

    called: ClassVar[str] = "block"
    places: ClassVar[str] = "samples"
    advice: ClassVar[str] = "smaller blocks need less memory: --block N; fewer workers too"

    model: Model
    question: Question
    block: int
    start: int
    stop: int
    """Samples of the data set."""

    data: Request | Data
    """Where the worker reads them, or they themselves."""

    @property
    def number(self) -> int:
        """The block."""
        return self.block

    @property
    def place(self) -> str:
        """Its samples."""
        return f"{self.start} to {self.stop - 1}"

    def run(self) -> Found:
        """Return what the block shows."""
        data = self.data
        if isinstance(data, Request):
            data = reopened(data).read(self.start, self.stop)
        return run_block(_deployment(self.model), self.question, self.block, data)
