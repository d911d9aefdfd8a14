"""Mapping of a program's populations to the cores of a chip."""

from snn_deploy.deploy.mapping.activity import Activity, assumed, measured
from snn_deploy.deploy.mapping.core_map import (
    Core,
    CoreMap,
    Encoding,
    Goal,
    Load,
    Part,
    Slice,
    Stored,
    Use,
    read_core_map,
)
from snn_deploy.deploy.mapping.mapper import map_front, map_program
from snn_deploy.deploy.mapping.search import Point

__all__ = [
    "Activity",
    "Core",
    "CoreMap",
    "Encoding",
    "Goal",
    "Load",
    "Part",
    "Point",
    "Slice",
    "Stored",
    "Use",
    "assumed",
    "map_front",
    "map_program",
    "measured",
    "read_core_map",
]
