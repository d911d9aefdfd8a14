"""The search itself: trials of optuna, kept in a journal, the same whatever interrupts them.

What a trial tries depends on the seed, its number and the trials of earlier rounds, on nothing
else: trials are asked for in rounds of a fixed size, each with a sampler of its own seed. So a
search that was killed, or that runs on more workers, tries the same settings.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from snn_deploy.deploy.locking import content_of, locked
from snn_deploy.deploy.tuning.measuring import Measured
from snn_deploy.deploy.tuning.setting import Setting
from snn_deploy.deploy.tuning.space import Space
from snn_deploy.errors import (
    CannotWriteError,
    DataError,
    DeployError,
    MissingLibraryError,
    OptionError,
)

ROUND = 8
"""Trials that are asked for together, whatever the number of workers."""

STARTUP = 16
"""Trials at random places before the sampler looks at what came of them."""

NAME = "snn-deploy"
"""Of the study in its journal."""


class Sampler(Enum):
    """What chooses the next setting."""

    TPE = "tpe"
    """Tree-structured Parzen estimator for several aims (Ozaki et al. 2022)."""

    NSGA2 = "nsga2"
    """The genetic algorithm NSGA-II (Deb et al. 2002)."""


class Aim(Enum):
    """What is made small beside the loss of accuracy."""

    ENERGY = "energy"
    MEMORY = "memory"
    LATENCY = "latency"

    def of(self, found: Measured) -> float:
        """Return it [J, bit, steps of the chip]."""
        return float(
            {
                Aim.ENERGY: found.energy,
                Aim.MEMORY: found.memory,
                Aim.LATENCY: found.latency,
            }[self]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A finished trial."""

    number: int
    setting: Setting
    measured: Measured | None
    """None: there is no such program."""

    refused: str
    """Why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a search is done."""

    space: Space
    aims: tuple[Aim, ...]
    sampler: Sampler
    seed: int
    trials: int
    heading: Mapping[str, Any]
    """What the journal is for: a search goes on only if it is the same."""


Measure = Callable[[Sequence[tuple[int, Setting]]], Iterator[tuple[int, Measured | DeployError]]]
"""Measures some settings, by the number of their trial, and yields each when it is done."""


def search(
    asked: Asked, journal: Path, measure: Measure, tell: Callable[[int], None]
) -> list[Tried]:
    """Return all trials, those that the journal has among them.

    Args:
        asked: What is searched, and how.
        journal: File that keeps every trial.
        measure: Runs the programs.
        tell: Called with the number of finished trials after each one.

    Raises:
        MissingLibraryError: optuna is not installed.
        OptionError: the journal is of another search, or in use.
        DataError: the file is no journal.
        CannotWriteError: it cannot be written.
    """
    optuna = optuna_or_refuse()
    with _alone(journal):
        going = _Search(optuna, _study(optuna, asked, journal), asked)
        for first in range(0, asked.trials, ROUND):
            numbers = range(first, min(first + ROUND, asked.trials))
            for done in going.round(numbers, measure):
                tell(done)
        return [_tried(trial, asked.space) for trial in going.study.get_trials()[: asked.trials]]


def optuna_or_refuse() -> Any:
    """Return the package optuna.

    Raises:
        MissingLibraryError: it is not installed.
    """
    try:
        import optuna  # noqa: PLC0415 - an extra, only when asked for
    except ImportError:
        raise MissingLibraryError(
            "optuna is not installed",
            where="snn-deploy tune",
            fix="pip install 'snn-deploy[search]'",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


OURS = b'{"op_code"'
"""What the lines of optuna's journal begin with."""


@contextmanager
def _alone(journal: Path) -> Iterator[None]:
    """Keep other searches out of a journal, and drop a last line that was cut off."""
    busy = OptionError(
        "another search writes this journal", where=str(journal), fix="--output OTHER"
    )
    with locked(journal, busy, lambda problem: _cannot_write(problem, journal)) as descriptor:
        content = content_of(descriptor)
        if content.startswith(OURS):
            os.ftruncate(descriptor, content.rfind(b"\n") + 1)
        yield


def _cannot_write(problem: OSError, journal: Path) -> CannotWriteError:
    return CannotWriteError(
        f"the journal could not be written: {problem.strerror or problem}",
        where=str(journal),
        fix="--output OTHER",
    )


class _Held:
    """A lock that is held already, for as long as the search runs: no file is left behind."""

    def acquire(self) -> bool:
        """Return that it is held."""
        return True

    def release(self) -> None:
        """Keep it."""


def _storage(optuna: Any, journal: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415 - an extra

    return optuna.storages.JournalStorage(JournalFileBackend(str(journal), lock_obj=_Held()))


def _study(optuna: Any, asked: Asked, journal: Path) -> Any:
    """Open the study in a journal, or begin one."""
    heading = json.loads(json.dumps(asked.heading, sort_keys=True))
    try:
        storage = _storage(optuna, journal)
        study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            load_if_exists=True,
            directions=["maximize", *("minimize" for _ in asked.aims)],
        )
        before = study.user_attrs.get("heading")
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise DataError(
            f"this is no journal of a search: {problem!s:.200}",
            where=str(journal),
            fix="--output OTHER, or remove the file",
        ) from problem
    if before is None:
        study.set_user_attr("heading", heading)
    elif before != heading:
        differ = ", ".join(
            key for key in sorted({*before, *heading}) if before.get(key) != heading.get(key)
        )
        raise OptionError(
            f"the journal is of another search: it differs in {differ}",
            where=str(journal),
            fix="--output OTHER, or repeat what it was begun with",
        )
    return study


class _Search:
    """A study that is under way.

    Args:
        optuna: The package.
        study: Its study.
        asked: What is searched, and how.
    """

    def __init__(self, optuna: Any, study: Any, asked: Asked) -> None:
        self._optuna, self.study, self._asked = optuna, study, asked

    def round(self, numbers: range, measure: Measure) -> Iterator[int]:
        """Measure the trials of a round, those that were begun before as they were.

        Yields:
            How many trials are finished, after each one.
        """
        states = self._optuna.trial.TrialState
        trials = {}
        for number in numbers:
            known = self.study.get_trials(deepcopy=False)
            if number < len(known) and known[number].state.is_finished():
                continue
            trial = self._trial(number, known)
            trials[number] = (trial, self._asked.space.suggest(trial))
        done = numbers.start + len(numbers) - len(trials)
        for number, found in measure([(n, setting) for n, (_, setting) in trials.items()]):
            trial, _ = trials[number]
            if isinstance(found, DeployError):
                trial.set_user_attr("refused", f"{found.code}: {found.message}")
                self.study.tell(trial, state=states.FAIL)
            else:
                trial.set_user_attr("measured", msgspec.to_builtins(found))
                values = [found.accuracy, *(aim.of(found) for aim in self._asked.aims)]
                self.study.tell(trial, values)
            done += 1
            yield done

    def _trial(self, number: int, known: Sequence[Any]) -> Any:
        """Return a trial to measure: a new one, or one that a killed search left behind."""
        self.study.sampler = _sampler(self._optuna, self._asked, number)
        first = self._asked.space.first()
        left = self._optuna.trial.TrialState.RUNNING
        if number < len(known) and known[number].state == left:
            return self._optuna.trial.Trial(self.study, known[number]._trial_id)
        if number == len(known) and number < len(first):
            self.study.enqueue_trial(dict(first[number]))
        return self.study.ask()


def _sampler(optuna: Any, asked: Asked, number: int) -> Any:
    seed = (asked.seed * 1_000_003 + number) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna calls some of its samplers experimental
        if asked.sampler is Sampler.NSGA2:
            return optuna.samplers.NSGAIISampler(population_size=STARTUP, seed=seed)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP)


class _Again:
    """Suggests what a finished trial tried."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return int(self._parameters[name])

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None) -> float:
        return float(self._parameters[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._parameters[name]


def _tried(trial: Any, space: Space) -> Tried:
    record = trial.user_attrs.get("measured")
    return Tried(
        number=trial.number,
        setting=space.suggest(_Again(trial.params)),
        measured=None if record is None else msgspec.convert(record, Measured),
        refused=trial.user_attrs.get("refused", ""),
    )
