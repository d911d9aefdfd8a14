"""The Python of the documents: every block of a page runs, one after the other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

BEFORE = {
    "fine-tuning.md": """
import numpy as np
import snntorch
import torch
module = torch.nn.Sequential(torch.nn.Linear(28, 10), snntorch.Leaky(beta=0.9, init_hidden=True))
spikes = (np.random.default_rng(0).random((32, 8, 28)) < 0.3).astype(np.uint8)
batches = [(torch.from_numpy(spikes[:8]).double(), torch.arange(8))]
""",
    "simulator.md": """
import snn_deploy
snn_deploy.export("model.nir", output="digits-loihi")
""",
}
"""What a page takes for granted."""

ELSEWHERE = {"tutorial.md"}
"""Pages that have a test of their own."""

PAGES = [
    page
    for page in sorted((ROOT / "docs").glob("*.md"))
    if BLOCK.search(page.read_text()) and page.name not in ELSEWHERE
]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    blocks = [BEFORE.get(page.name, ""), *BLOCK.findall(page.read_text())]
    Path("page.py").write_text("\n".join(blocks))
    ran = subprocess.run(
        [sys.executable, "page.py"], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
