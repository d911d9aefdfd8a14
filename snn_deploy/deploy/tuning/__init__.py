"""Tuning: the front of accuracy against energy, memory and latency, and one choice from it."""

from snn_deploy.deploy.tuning.command import tune
from snn_deploy.deploy.tuning.results import Tuning
from snn_deploy.deploy.tuning.setting import Knob, Setting

__all__ = ["Knob", "Setting", "Tuning", "tune"]
