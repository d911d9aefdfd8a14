"""A report is one file that asks for nothing, with the same bytes for the same network."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

from snn_deploy.deploy.report.layout import json_of
from snn_deploy.deploy.report.model import SCHEMA, Agreement, Histogram, Report
from snn_deploy.deploy.report.page import cell, page
from snn_deploy.deploy.report.pictures import OTHER, kinds_of
from snn_deploy.deploy.report.raster import NEURONS, SPIKES, STEPS, raster
from snn_deploy.deploy.report.weights import histograms
from snn_deploy.deploy.report.words import number, plain, share, si

MOST_BYTES = 3_000_000


class Tags(HTMLParser):
    """Collects the tags of a page and their attributes; complains of one that is not closed."""

    VOID = frozenset({"meta", "link", "br", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_its_json_is_golden(small, golden):
    report = small.report
    assert report.measured is not None
    bare = replace(report, measured=replace(report.measured, cost=None, others=()))
    golden(json_of(bare).decode())


def test_its_json_is_read_back_as_it_was(small):
    report = small.report
    content = json_of(report)
    assert json.loads(content)["schema"] == SCHEMA.label
    assert msgspec.json.decode(json_of(report), type=Report) == report


def test_the_same_network_gives_the_same_bytes(small):
    again = replace(small)
    assert again.report is not small.report
    assert page(again.report) == page(small.report)
    assert json_of(again.report) == json_of(small.report)
    assert cell(again.report) == cell(small.report)


def test_no_address_is_in_it_and_its_policy_allows_its_own_style_alone(small):
    text = page(small.report).decode()
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|<script|javascript:", text)
    tags = Tags(text)
    for tag, attributes in tags.tags:
        assert not {"src", "style", "srcset", "action", "onload"} & attributes.keys(), tag
        assert attributes.get("href", "#")[:1] == "#" or attributes["href"] == "data:,"
    policy = next(a["content"] for t, a in tags.tags if a.get("http-equiv"))
    style = text.split("<style>")[1].split("</style>")[0]
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{allowed}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def test_each_picture_says_what_it_shows_and_each_name_is_used_once(small):
    text = page(small.report).decode()
    tags = Tags(text)
    assert tags.count("svg") == tags.count("desc") >= 6
    names = [a["id"] for _, a in tags.tags if "id" in a]
    assert len(names) == len(set(names))
    wanted = {a["href"][1:] for t, a in tags.tags if a.get("href", "").startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert wanted <= set(names)
    assert "\x00" not in text


def test_names_of_a_model_file_are_text(evil):
    report = evil.report
    for text in (page(report).decode(), cell(report)):
        tags = Tags(text)
        assert tags.count("script") == 0
        assert "alert(1)" in "".join(tags.text)
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)
    assert json.loads(json_of(report))["layers"][0]["layer"].startswith("<script>")


def test_without_data_it_says_so(small):
    bare = replace(small, samples=None)
    text = page(bare.report).decode()
    assert bare.report.measured is None
    assert text.count("No data was given. An export with --calibrate DATA") >= 3
    assert "<h2" in text


def test_data_that_cannot_be_run_leaves_a_sentence(small):
    data = small.samples
    wrong = replace(data, arrays=(replace(data.arrays[0], values=np.ones((2, 8, 5), np.int32)),))
    report = replace(small, samples=wrong).report
    assert report.measured is None
    assert "5" in report.missing
    assert report.missing in page(report).decode().replace("&#39;", "'")


def test_a_cell_keeps_its_styles_to_itself(small):
    text = small._repr_html_()
    Tags(text)
    style = text.split("<style>")[1].split("</style>")[0]
    plain_rules = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)\}", r"\1", style)
    selectors = [s for rule in re.findall(r"([^{}]+)\{", plain_rules) for s in rule.split(",")]
    assert len(selectors) > 40
    assert all(s.strip().startswith((".snn-report", ".snn-cell", ".snn-page")) for s in selectors)
    assert small.report._repr_html_() == text
    assert "<details>" in text


def test_what_differs_is_shown_as_different(small):
    measured = small.report.measured
    checked = measured.verification
    assert checked.equal
    from snn_deploy.deploy.verify import Difference
    from snn_deploy.ir.neuron import State

    difference = Difference(
        population="hidden",
        neuron=(1,),
        sample=0,
        step=3,
        own=2,
        state=State.MEMBRANE,
        expected=5,
        got=6,
        before={},
        arrived=(),
        arrived_in_all=0,
    )
    wrong = replace(checked.comparisons[0], difference=difference)
    report = replace(
        small.report,
        measured=replace(measured, verification=replace(checked, comparisons=(wrong,))),
    )
    text = page(report).decode()
    assert text.count("DIFFERENT") >= 2
    assert "first at  hidden[1], sample 0, step 2 (3 on the chip), membrane" in text


def test_every_kind_of_energy_has_a_colour_or_is_among_the_others(small):
    cost = small.report.measured.cost
    assert kinds_of(cost) == cost.kinds
    many = replace(cost, kinds={f"kind {i}": float(i + 1) for i in range(12)})
    found = kinds_of(many)
    assert list(found)[:2] == ["kind 11", "kind 10"]
    assert (len(found), list(found)[-1]) == (8, OTHER)
    assert sum(found.values()) == sum(many.kinds.values())


def test_a_huge_network_gives_a_small_page(small):
    """Thousands of layers, names of a thousand letters, rasters of 100,000 neurons."""
    report = small.report
    measured, layer = report.measured, report.layers[0]
    rng = np.random.default_rng(0)
    names = [f"{'layer' * 200}{index}" for index in range(4000)]
    sent = (rng.random((1000, 100_000), np.float32) < 0.3).astype(np.int8)
    found = Agreement(
        layer="x",
        spikes=1.0,
        ratio=1.0,
        mismatch=0.5,
        alone=0.2,
        agreement=0.9,
        identical=0.0,
        error=0.1,
        causes=(("rounded weights", 0.5),),
    )
    huge = replace(
        report,
        layers=tuple(replace(layer, layer=name) for name in names),
        findings=report.findings * 1000,
        measured=replace(
            measured,
            rasters=tuple(raster(name, sent) for name in names[:12]),
            agreement=tuple(replace(found, layer=name) for name in names),
            activity=tuple(replace(measured.activity[0], layer=name) for name in names),
            cost=replace(
                measured.cost,
                layers=tuple(replace(measured.cost.layers[0], layer=name) for name in names),
            ),
        ),
        weights=tuple(
            Histogram(
                projection=name,
                low=-1.0,
                width=0.05,
                before=tuple(range(50)),
                after=tuple(range(50)),
                levels=9,
                weights=10**9,
                counted=10**6,
            )
            for name in names[:12]
        ),
    )
    content = page(huge)
    assert len(content) < MOST_BYTES
    text = content.decode()
    Tags(text)
    assert "3,940 more: see report.json." in text
    assert "first 400 of 1,000 steps" in text
    assert "1,000,000 evenly spread ones counted" in text


@pytest.mark.parametrize(
    ("steps", "neurons", "rate"), [(5, 3, 1.0), (1000, 7, 0.5), (40, 100_000, 0.9), (1, 1, 0.0)]
)
def test_a_raster_shows_true_spikes_and_never_too_many(steps, neurons, rate):
    sent = (np.random.default_rng(1).random((steps, neurons)) < rate).astype(np.int64)
    found = raster("x", sent)
    assert (found.steps, found.neurons) == (steps, neurons)
    assert len(found.shown) <= NEURONS
    assert found.shown_steps == min(steps, STEPS)
    assert sum(map(len, found.trains)) <= SPIKES
    for index, train in zip(found.shown, found.trains, strict=True):
        assert train == tuple(np.flatnonzero(sent[: found.shown_steps, index]))
    if neurons <= NEURONS and sent.size <= SPIKES:
        assert found.shown == tuple(range(neurons))


def test_a_histogram_holds_every_weight_once(demo_network):
    import snn_deploy

    made = snn_deploy.export(demo_network, search=False, dry_run=True)
    found = histograms(made)
    assert [one.projection for one in found] == ["conv1", "conv2", "fc1", "fc2"]
    for one in found:
        stored = next(p for p in made.program.projections if p.name == one.projection)
        trained = next(p for p in made.network.projections if p.name == one.projection)
        assert sum(one.before) == sum(one.after) == one.counted == trained.map.numbers().size
        assert one.levels == len(np.unique(stored.map.numbers()))
        middle = np.average(
            one.low + one.width * (0.5 + np.arange(len(one.after))), weights=one.before
        )
        assert middle == pytest.approx(trained.map.numbers().mean(), abs=one.width)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3.2e-6, "3.20 µJ"), (999.96e-9, "1.00 µJ"), (1234.0, "1.23 kJ"), (5, "5.00 J")],
)
def test_quantities_have_three_digits_and_a_prefix(value, text):
    assert si(value, "J") == text


def test_words_are_short_and_visible():
    assert plain("a" * 1000) == "a" * 40 + "…" + "a" * 39
    assert plain("a\nb\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert (share(None), share(0.5), share(0.0213), share(1.0)) == (
        "\N{EN DASH}",
        "50.0 %",
        "2.13 %",
        "100.0 %",
    )
    assert (number(1234567), number(0.12345), number(1234.56)) == ("1,234,567", "0.123", "1,234.6")
