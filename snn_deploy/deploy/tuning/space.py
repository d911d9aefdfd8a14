"""What can be turned of a network, how far, and where to begin."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from snn_deploy.deploy.tuning.setting import Knob, Setting
from snn_deploy.quantize.widths import FEWEST

THRESHOLDS = (0.8, 1.5, 0.05)
"""Smallest and largest factor on a threshold, and the step between two."""

LEADS = (0.1, 1.5, 0.05)
"""The same of the lead at which a sample is left, over the median lead after all steps."""

Parameters = Mapping[str, int | float | bool]
"""Values of the parameters of a trial, by name."""


@runtime_checkable
class Suggests(Protocol):
    """What suggests values: an optuna trial."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None) -> float:
        """Return a number from `low` to `high` in steps."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of the choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All settings that can be tried."""

    knobs: frozenset[Knob]
    layers: tuple[str, ...]
    """Populations with weights; empty where the bits stay."""

    most_bits: int
    spiking: tuple[str, ...]
    """Populations whose thresholds can be moved."""

    steps: int
    """Of a sample, as the request has it."""

    lead: float
    """Median lead after all steps at the request's own setting, in the decoder's units."""

    per_layer: bool
    """Whether each layer has its own bits and its own factor."""

    def described(self) -> Iterator[str]:
        """Yield what each knob turns, and how far."""
        if Knob.BITS in self.knobs:
            own = "each on its own" if self.per_layer else "alike"
            yield f"bits {FEWEST} to {self.most_bits} of {', '.join(self.layers)}, {own}"
        if Knob.THRESHOLDS in self.knobs:
            low, high, _ = THRESHOLDS
            own = "each on its own" if self.per_layer else "alike"
            yield f"thresholds x {low:g} to {high:g} of {', '.join(self.spiking)}, {own}"
        if Knob.STEPS in self.knobs:
            yield f"steps {max(1, self.steps // 4)} to {self.steps}"
        if Knob.EXIT in self.knobs:
            low, high, _ = LEADS
            yield f"exit with a lead of {low * self.lead:.3g} to {high * self.lead:.3g}, or none"

    def suggest(self, trial: Suggests) -> Setting:
        """Return a setting from what a trial suggests."""
        bits = thresholds = steps = lead = after = None
        if Knob.BITS in self.knobs:
            found = {
                layer: trial.suggest_int(key, FEWEST, self.most_bits)
                for layer, key in self._keys("bits", self.layers)
            }
            bits = found if min(found.values()) < self.most_bits else None
        if Knob.THRESHOLDS in self.knobs:
            low, high, step = THRESHOLDS
            factors = {
                layer: round(trial.suggest_float(key, low, high, step=step), 6)
                for layer, key in self._keys("threshold", self.spiking)
            }
            thresholds = {name: f for name, f in factors.items() if f != 1} or None
        if Knob.STEPS in self.knobs:
            chosen = trial.suggest_int("steps", max(1, self.steps // 4), self.steps)
            steps = chosen if chosen < self.steps else None
        if Knob.EXIT in self.knobs:
            low, high, step = LEADS
            on = trial.suggest_categorical("exit", [False, True])
            share = trial.suggest_float("lead", low, high, step=step)
            first = trial.suggest_int("after", 1, max(1, self.steps // 2))
            if on:
                lead, after = float(f"{share * self.lead:.4g}"), first
        return Setting(
            bits=bits, thresholds=thresholds, steps=steps, exit_lead=lead, exit_after=after
        )

    def _keys(self, what: str, layers: tuple[str, ...]) -> list[tuple[str, str]]:
        """Return each layer with the name of its parameter; shared by all, if they go together."""
        return [(layer, f"{what} {layer}" if self.per_layer else what) for layer in layers]

    def first(self) -> tuple[Parameters, ...]:
        """Return where to begin: the request's own setting, then one knob at a time, then all."""
        plain: dict[str, int | float | bool] = {}
        turned: dict[Knob, dict[str, int | float | bool]] = {}
        if Knob.BITS in self.knobs:
            keys = [key for _, key in self._keys("bits", self.layers)]
            plain |= dict.fromkeys(keys, self.most_bits)
            turned[Knob.BITS] = dict.fromkeys(keys, max(FEWEST, self.most_bits // 2))
        if Knob.THRESHOLDS in self.knobs:
            keys = [key for _, key in self._keys("threshold", self.spiking)]
            plain |= dict.fromkeys(keys, 1.0)
            turned[Knob.THRESHOLDS] = dict.fromkeys(keys, 1.1)
        if Knob.STEPS in self.knobs:
            plain["steps"] = self.steps
            turned[Knob.STEPS] = {"steps": max(1, 3 * self.steps // 4)}
        if Knob.EXIT in self.knobs:
            plain |= {"exit": False, "lead": 1.0, "after": 1}
            turned[Knob.EXIT] = {"exit": True, "after": max(1, self.steps // 4)}
        everything = {key: value for change in turned.values() for key, value in change.items()}
        return (plain, *(plain | change for change in turned.values()), plain | everything)
