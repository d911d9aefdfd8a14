"""The numbers of cores that a program can be mapped to, and what each gives."""

from dataclasses import dataclass

from snn_deploy.deploy.mapping import Point
from snn_deploy.deploy.shown import ShownTable
from snn_deploy.deploy.table import aligned


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices(ShownTable):
    """From the fewest cores to the shortest step: what `--cores` can be chosen from."""

    measured: bool
    """Whether loads come from activity on data; else every source is taken to be equally active."""

    points: tuple[Point, ...]

    def __str__(self) -> str:
        rows = [("cores", "slowest core", "messages a step", "energy a step")]
        rows += [
            (
                f"{point.cores}",
                f"{point.time * 1e-3:,.3f} us",
                f"{point.messages:,.1f}",
                f"{point.energy * 1e-3:,.3f} nJ",
            )
            for point in self.points
        ]
        return (
            f"choices of --cores, {loads(self.measured)}; energy of messages, and static power "
            f"for as long as the step takes\n\n{aligned(rows, right=(0, 1, 2, 3))}"
        )


def loads(of_data: bool) -> str:
    """Return in words where loads come from."""
    return "loads from data" if of_data else "all sources taken to be equally active"
