"""Run the notebooks, and keep what they show: `python examples/notebooks/run.py`.

Needs nbclient, ipykernel, torch, norse and mlxtend, which come with the tests' environment.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
LIMIT = 300
"""Seconds that a cell may take."""


def run(notebook: Path, folder: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of a new run in `folder`, and nothing of the machine.

    Raises:
        CellExecutionError: a cell fails.
    """
    book = nbformat.read(notebook, as_version=4)
    NotebookClient(
        book,
        timeout=LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    ).execute()
    book.metadata.language_info = {"name": "python"}
    return book


def main() -> None:
    """Run each in a folder of its own, beside a copy of the demo network."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write them to")
    output = parser.parse_args().output
    for notebook in sorted(HERE.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            examples = Path(folder) / "examples"
            shutil.copytree(HERE.parent / "mnist", examples / "mnist")
            (examples / "notebooks").mkdir()
            book = run(notebook, examples / "notebooks")
        nbformat.write(book, output / notebook.name)
        print(f"ran {notebook.name}")


if __name__ == "__main__":
    main()
