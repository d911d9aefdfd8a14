"""What a report holds: the data of report.html, of report.json and of a notebook's cell.

Absent (None, or no entry) is what was not measured: without data there are no spikes, of a network
of integers there is no rounding. Long lists are cut short and say of how many they are.
"""

from dataclasses import dataclass
from typing import Any, Final

from snn_deploy.deploy.energy import Memory, Price, Span, Unpriced
from snn_deploy.deploy.mapping import Encoding as Stored
from snn_deploy.deploy.mapping import Goal, Use
from snn_deploy.deploy.outcomes import LayerActivity, Verification, findings_text
from snn_deploy.deploy.ranges import PopulationRange
from snn_deploy.deploy.shown import Shown
from snn_deploy.deploy.table import aligned
from snn_deploy.ir.codecs import Encoding
from snn_deploy.ir.findings import Finding
from snn_deploy.ir.neuron import Decode, State
from snn_deploy.ir.program import Role
from snn_deploy.ir.schemas import Schema
from snn_deploy.ir.words import counted

SCHEMA: Final = Schema(name="report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One rule of the network as trained, and who said so."""

    neurons: str
    """Whose rule it is; `(all)`: the network's."""

    rule: str
    value: str
    said_by: str
    """`module`, `metadata`, `dialect`, `override`, or `guessed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One input of the program."""

    name: str
    shape: tuple[int, ...]
    low: int
    high: int
    unit: float
    """Real value of a payload of 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """One output of the program."""

    name: str
    population: str
    decode: Decode
    lag: int
    """Steps that it comes later than in the network as trained [steps]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was read, and how it became a program."""

    sha256: str
    """Of the model as it was given."""

    bytes: int
    options: dict[str, Any]
    """Options of the export that were not left at their default."""

    encoding: Encoding
    """How data become steps."""

    dt: float | None
    """Length of a step [s]; None: it is not known."""

    period: int
    """Steps of the chip for each step of the network."""

    inputs: tuple[Entry, ...]
    outputs: tuple[Exit, ...]
    pipeline: tuple[str, ...]
    """The passes, one line each."""

    decisions: tuple[Decision, ...]
    """Of the network as trained; none where it was integers from the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What is known of one population and of what drives it."""

    layer: str
    role: Role
    shape: tuple[int, ...]
    neurons: int
    weights: int
    """Stored in the projections into it, each once; a kernel of a convolution is stored once."""

    lag: int
    """Steps that it runs behind the network as trained [steps]."""

    unit: tuple[float, float]
    """Real value of a membrane of 1: smallest and largest over its neurons."""

    dynamics: str
    """What its neurons compute, in whole numbers, in a few words."""

    range: PopulationRange
    """Whether an input can drive its registers beyond their range."""

    findings: tuple[Finding, ...]
    """Of it and of the projections into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Weights of one projection as trained and as stored, in the unit of the network."""

    projection: str
    low: float
    """Lower edge of the first bin."""

    width: float
    """Of a bin: a whole number of steps between weights that can be stored."""

    before: tuple[int, ...]
    """Weights as trained in each bin."""

    after: tuple[int, ...]
    """Weights as stored, times their unit, in each bin."""

    levels: int
    """Different weights that are stored, of those counted."""

    weights: int
    counted: int
    """Weights that are counted, evenly spread over all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One core on the mesh of its chip."""

    core: int
    chip: int
    x: int
    y: int
    layers: tuple[str, ...]
    """Populations of which it holds neurons, at most four of them."""

    neurons: int
    time: float
    """Expected time of a step, of what is larger of receiving and updating [ns]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCores:
    """What the cores of one population hold."""

    layer: str
    cores: int
    neurons: tuple[int, int]
    """Of it, on the core with the fewest and on that with the most."""

    time: float
    """Of the slowest of them in a step [ns]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """The map of cores in short; `core_map.json` has all of it."""

    goal: Goal
    measured: bool
    """Whether loads come from activity on data; else every source is taken to be equally active."""

    cores: int
    chips: int
    board: str
    step: float
    """Expected time of the slowest core in a step, without the barrier [ns]."""

    messages: float
    """Expected messages to cores in a step."""

    hops: float
    """Routers that they are expected to pass."""

    mesh: tuple[int, int, int]
    """Columns and rows of routers on a chip, and cores at each router."""

    uses: tuple[Use, ...]
    encodings: dict[Stored, int]
    """Projections by how synapse memory holds them."""

    layers: tuple[LayerCores, ...]
    cells: tuple[Cell, ...]
    """The first cores, in the order of chips and cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """When neurons of one input or population send, in one sample."""

    layer: str
    neurons: int
    steps: int
    shown: tuple[int, ...]
    """Index of each neuron that is shown, in C order: evenly spread over all."""

    shown_steps: int
    """Steps that are shown, from the first on."""

    trains: tuple[tuple[int, ...], ...]
    """Steps of the network in which each shown neuron sends something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one register of a population held at the ends of all steps."""

    layer: str
    state: State
    low: int
    high: int

    @property
    def named(self) -> str:
        """Name of the register in its proof, such as `the membrane`."""
        return f"the {self.state.value.replace('-', ' ')}"

    @property
    def magnitude(self) -> int:
        """The largest number by size."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How one layer of integers compares with the layer as trained, on the samples."""

    layer: str
    spikes: float | None
    """Sent as trained, per sample; None: it is a readout."""

    ratio: float | None
    """Of the spikes of the integers to those."""

    mismatch: float | None
    """Neurons and steps that differ, over twice those that send as trained."""

    alone: float | None
    """The same of the layer fed with what others send as trained: what this layer itself adds."""

    agreement: float | None
    """Share of neurons and steps that agree."""

    identical: float | None
    """Share of samples in which nothing differs."""

    error: float | None
    """Root mean square error of its membranes, over their root mean square."""

    causes: tuple[tuple[str, float], ...]
    """Share of its first divergences that each cause explains, the most first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What one output gets right."""

    output: str
    correct: int | None
    """None: the data has no labels."""

    correct_as_trained: int | None
    same: int | None
    """Samples in which integers and real values give the same class; None: not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """Energy of one layer, mean per sample [J]."""

    layer: str
    value: float
    low: float
    high: float
    synaptic: float
    """Synaptic operations."""

    kinds: dict[str, float]
    """Energy by kind of event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Energy and time of a sample at the prices of one profile."""

    profile: str
    title: str
    chip: str
    note: str
    samples: int
    """Samples whose events were counted."""

    energy: Span
    """Mean per sample [J]."""

    static: Span | None
    """Part of it that chips take at rest [J]; None: none is known."""

    step: Span | None
    """Mean time of a step [s]; None: the profile has no times, or there is no map of cores."""

    sample: Span | None
    """Time of a sample [s]."""

    barrier: Span | None
    """Part of each step in which cores only wait for each other [s]."""

    slowest: tuple[str, ...]
    """Cores that others wait for most often, in words."""

    layers: tuple[LayerCost, ...]
    kinds: dict[str, float]
    """Energy by kind of event [J]."""

    memory: Memory | None
    prices: tuple[Price, ...]
    times: tuple[Price, ...]
    unpriced: tuple[Unpriced, ...]
    """What is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """What the same run costs elsewhere."""

    short: str
    """Name of the profile."""

    title: str
    energy: Span
    """Mean per sample [J]."""

    sample: Span | None
    """Time of a sample [s]; None: it is not known."""

    note: str
    """What is not in it, or how it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run on samples shows."""

    samples: int
    steps: int
    compared: int
    """Samples, of these, on which integers are compared with the network as trained."""

    number: int
    """Number of the sample that is shown step by step, as in the data."""

    activity: tuple[LayerActivity, ...]
    answers: tuple[Answers, ...]
    verification: Verification | None
    agreement: tuple[Agreement, ...]
    rasters: tuple[Raster, ...]
    observed: tuple[Observed, ...]
    cost: Cost | None
    others: tuple[Other, ...]
    missing: tuple[str, ...]
    """What was left out, each with its reason, as sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Shown):
    """All that is known of a deployment."""

    schema: str = SCHEMA.label
    version: str
    """Of snn-deploy."""

    name: str
    target: str
    title: str
    """Of the target."""

    digest: str
    """Of the program."""

    source: Source
    findings: tuple[Finding, ...]
    """All of them, those of layers too."""

    layers: tuple[Layer, ...]
    proven_steps: int | None
    """Steps of the runs that the proofs are about; None: any number."""

    weights: tuple[Histogram, ...]
    """Of the first projections that the network as trained has too."""

    cores: Cores | None
    """None: the chip has no cores, or the network does not fit."""

    rounding: tuple[dict[str, Any], ...]
    """What quantization did to each layer, as `LayerReport` has it; of none that was integers from
    the start, or is a helper that was not in the network."""

    measured: Measured | None
    """None: there was no data."""

    missing: str = ""
    """Why nothing was measured, where there was data."""

    def __str__(self) -> str:
        measured = self.measured
        data = "no data" if measured is None else counted(measured.samples, "sample")
        rows: list[tuple[str, ...]] = [
            (
                *("layer", "neurons", "weights", "lag", "in range", "findings"),
                *("active", "mismatch", "alone"),
            )
        ]
        active = {} if measured is None else {a.layer: a for a in measured.activity}
        agreed = {} if measured is None else {a.layer: a for a in measured.agreement}
        rows += [_row(x, active.get(x.layer), agreed.get(x.layer)) for x in self.layers]
        used = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
        table = aligned(
            [[row[n] for n in used] for row in rows],
            right=[place for place, n in enumerate(used) if n not in (0, 4)],
        )
        title = f"{self.name} for {self.target}, program {self.digest[:12]}; {data}"
        lines = [f"{title}\n\n{table}"]
        if measured is not None:
            lines.append(_measured(measured))
        return "\n\n".join(lines) + findings_text(self.findings)

    def _repr_html_(self) -> str:
        """Return the report for a cell of a notebook."""
        from snn_deploy.deploy.report.page import cell  # noqa: PLC0415 - jinja2 on demand

        return cell(self)


def _row(layer: Layer, activity: LayerActivity | None, found: Agreement | None) -> tuple[str, ...]:
    return (
        layer.layer,
        f"{layer.neurons}",
        f"{layer.weights:,}",
        f"{layer.lag}",
        "proven" if layer.range.proven else "not proven",
        f"{len(layer.findings)}",
        "" if activity is None else f"{activity.active:.1%}",
        "" if found is None or found.mismatch is None else f"{found.mismatch:.2%}",
        "" if found is None or found.alone is None else f"{found.alone:.2%}",
    )


def _measured(measured: Measured) -> str:
    """Return answers, states and energy in a line each."""
    rows = []
    for answer in measured.answers:
        if answer.correct is not None:
            rows.append((f"correct {answer.output}", f"{answer.correct} of {measured.samples}"))
    checked = measured.verification
    if checked is not None:
        states = sum(comparison.states for comparison in checked.comparisons)
        said = f"bit-exact over {states:,} states" if checked.equal else "DIFFERENT"
        rows.append(("reference simulator", said))
    if measured.cost is not None:
        energy = measured.cost.energy
        said = f"{energy.value * 1e6:.3f} uJ a sample, {energy.low * 1e6:.3f} to "
        rows.append(("energy estimate", f"{said}{energy.high * 1e6:.3f}"))
    lines = [aligned(rows)] if rows else []
    return "\n".join([*lines, *(f"not measured: {text}" for text in measured.missing)])
