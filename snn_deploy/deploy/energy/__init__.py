"""Energy and time as estimates: counted events times published prices, each with its source."""

from snn_deploy.deploy.energy.counting import count
from snn_deploy.deploy.energy.events import SYNAPTIC, Event, LayerCount, Span
from snn_deploy.deploy.energy.latency import Latency, Phase, Slowest
from snn_deploy.deploy.energy.memory import Memory, memory_of
from snn_deploy.deploy.energy.model import Estimate, LayerEnergy, estimate
from snn_deploy.deploy.energy.placement import Placement
from snn_deploy.deploy.energy.profile import (
    Band,
    Barrier,
    Grade,
    Price,
    Profile,
    Seen,
    Unpriced,
)
from snn_deploy.deploy.energy.profile_files import find_profile, profiles, read_profile
from snn_deploy.deploy.energy.reach import synapse_event
from snn_deploy.deploy.energy.tally import Tally

__all__ = [
    "SYNAPTIC",
    "Band",
    "Barrier",
    "Estimate",
    "Event",
    "Grade",
    "Latency",
    "LayerCount",
    "LayerEnergy",
    "Memory",
    "Phase",
    "Placement",
    "Price",
    "Profile",
    "Seen",
    "Slowest",
    "Span",
    "Tally",
    "Unpriced",
    "count",
    "estimate",
    "find_profile",
    "memory_of",
    "profiles",
    "read_profile",
    "synapse_event",
]
