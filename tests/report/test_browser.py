"""A browser shows the page, asks for nothing, and never scrolls sideways."""

import json
import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pytest

from snn_deploy.deploy.report.page import page

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser")) if p), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: the page was not opened in a browser"
)

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def shown(file: Path, folder: Path, *options: str) -> tuple[str, str]:
    """Return the rendered DOM of a file, and what the browser complained of."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, *QUIET, *options, f"--user-data-dir={folder / 'profile'}"),
            *(f"--log-net-log={folder / 'net.json'}", "--enable-logging=stderr"),
            *("--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    complaints = [x for x in done.stderr.splitlines() if "CONSOLE" in x or "Refused" in x]
    return done.stdout, "\n".join(complaints)


def requested(folder: Path) -> set[str]:
    """Return what a page, and not the browser itself, asked the net for."""
    text = (folder / "net.json").read_text().rstrip()
    log = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")
    asked = [event.get("params", {}) for event in log["events"]]
    return {
        one["url"]
        for one in asked
        if "url" in one and one.get("initiator", BROWSER) != BROWSER and "://" in one["url"]
    }


BROWSER = "not an origin"
"""Who asks, where it is the browser itself."""


def test_it_is_shown_and_requests_nothing(small, tmp_path):
    file = tmp_path / "report.html"
    file.write_bytes(page(small.report))
    dom, complaints = shown(file, tmp_path)
    assert complaints == ""
    assert requested(tmp_path) == set()
    assert "bit-exact" in dom
    assert dom.count("<svg") >= 6


def test_what_asks_for_something_would_be_seen(small, tmp_path):
    """So the test above can fail: the policy refuses a picture, and without it the net is asked."""
    picture = "http://nowhere.invalid/x.png"
    text = page(small.report).decode().replace("</main>", f'<img src="{picture}"></main>')
    (tmp_path / "with.html").write_text(text)
    _, complaints = shown(tmp_path / "with.html", tmp_path)
    assert "Content Security Policy" in complaints
    assert requested(tmp_path) == set()
    (tmp_path / "without.html").write_text(without_policy(text))
    shown(tmp_path / "without.html", tmp_path)
    assert requested(tmp_path) == {picture}


def without_policy(text: str) -> str:
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)


FRAME = """<!DOCTYPE html><title>waiting</title>
<iframe width="{width}" height="800" frameborder="0" srcdoc="{text}"></iframe>
<script>document.querySelector("iframe").onload = event => {{
const seen = event.target.contentDocument, root = seen.documentElement
const paths = seen.querySelectorAll("path").length
document.title = `${{root.scrollWidth - root.clientWidth}} ${{paths}}`
}}</script>"""


@pytest.mark.parametrize("width", [400, 1200])
def test_it_never_scrolls_sideways(evil, tmp_path, width):
    text = without_policy(page(evil.report).decode())
    file = tmp_path / "frame.html"
    file.write_text(FRAME.format(width=width, text=escape(text)))
    dom, _ = shown(file, tmp_path, "--window-size=1300,900")
    found = re.search(r"<title>(\d+) (\d+)</title>", dom)
    assert found is not None
    beyond, paths = map(int, found.groups())
    assert beyond == 0
    assert paths > 50
