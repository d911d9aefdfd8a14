"""Compiles the event simulator, once: else each worker of the tests does it, half a minute long."""

from snn_deploy.backends.event import EventBackend
from snn_deploy.backends.event.choices import Choices
from snn_deploy.backends.lava.selftest import one_neuron
from snn_deploy.ir.trace import COUNTS

if __name__ == "__main__":
    for layers in (True, False):
        EventBackend(choices=Choices(layers=layers)).run(*one_neuron(), COUNTS)
