"""What a user wants of tuning, in terms of the search."""

from dataclasses import dataclass
from typing import Any

from snn_deploy.deploy.request import choose
from snn_deploy.deploy.tuning.setting import Knob
from snn_deploy.deploy.tuning.study import Aim, Sampler
from snn_deploy.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of tuning; see `api.tune`."""

    knobs: tuple[Knob, ...] | None
    """None: all that the network has."""

    per_layer: bool
    aims: tuple[Aim, ...]
    trials: int
    max_drop: float
    sampler: Sampler
    seed: int
    profile: str | None
    split: float
    samples: int

    def checked(self) -> "Wanted":
        """Return these options.

        Raises:
            OptionError: a value that makes no sense.
        """
        for wrong, message, where, fix in (
            (self.trials < 1, f"{self.trials} trials", "--trials", "--trials 60"),
            (not self.max_drop >= 0, f"a loss of {self.max_drop:g} points", "--max-drop", "0.5"),
            (not 0 < self.split < 1, f"a share of {self.split:g}", "--split", "--split 0.5"),
            (self.samples < 1, f"{self.samples} samples", "--samples", "--samples 1000"),
            (not self.aims, "nothing to make small", "--objective", "--objective energy"),
            (self.knobs == (), "no knob to turn", "--knobs", "--knobs bits,steps"),
        ):
            if wrong:
                raise OptionError(message, where=where, fix=fix)
        return self


def wanted_from(*, knobs: str | None, objective: str, sampler: str, **others: Any) -> Wanted:
    """Return the options of tuning from their words; see `api.tune`.

    Raises:
        OptionError: a word that means nothing, or a value that makes no sense.
    """
    return Wanted(
        knobs=None if knobs is None else _words(Knob, knobs, "--knobs"),
        aims=_words(Aim, objective, "--objective"),
        sampler=choose(Sampler, sampler, "--sampler"),
        **others,
    ).checked()


def _words(kind: type[Any], text: str, option: str) -> tuple[Any, ...]:
    """Return the members of an enum that a list of words names, each once."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(dict.fromkeys(choose(kind, word, option) for word in words))
