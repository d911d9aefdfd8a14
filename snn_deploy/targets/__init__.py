"""The chips we compile for: one TOML file each, found by name, alias or path."""

from snn_deploy.targets.cores import CoreRules
from snn_deploy.targets.files import (
    find_target,
    other_target,
    read_stored_target,
    read_target,
    shipped_targets,
)
from snn_deploy.targets.sourced import Sourced, SourcedList, SourcedRange
from snn_deploy.targets.target import (
    Basic,
    Entry,
    Feature,
    Layers,
    Limit,
    Per,
    Resource,
    Support,
    Target,
    WeightRange,
)

__all__ = [
    "Basic",
    "CoreRules",
    "Entry",
    "Feature",
    "Layers",
    "Limit",
    "Per",
    "Resource",
    "Sourced",
    "SourcedList",
    "SourcedRange",
    "Support",
    "Target",
    "WeightRange",
    "find_target",
    "other_target",
    "read_stored_target",
    "read_target",
    "shipped_targets",
]
