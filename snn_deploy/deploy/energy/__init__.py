"""Energy as an estimate: counted events times published prices, each with its source."""

from snn_deploy.deploy.energy.counting import count, synapse_event
from snn_deploy.deploy.energy.events import SYNAPTIC, Event, LayerCount
from snn_deploy.deploy.energy.model import Estimate, LayerEnergy, estimate
from snn_deploy.deploy.energy.profile import (
    Grade,
    Price,
    Profile,
    Unpriced,
    find_profile,
    profiles,
)

__all__ = [
    "SYNAPTIC",
    "Estimate",
    "Event",
    "Grade",
    "LayerCount",
    "LayerEnergy",
    "Price",
    "Profile",
    "Unpriced",
    "count",
    "estimate",
    "find_profile",
    "profiles",
    "synapse_event",
]
