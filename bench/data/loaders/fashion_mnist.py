"""Fashion-MNIST: its four IDX files, or the CSV form, whose rows are in another order."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bench.data.loaders import folders, published
from bench.data.loaders.published import FileSet, Labels, Pixels, Sources, VerifiedFiles
from bench.data.samples import UNCHANGED
from bench.errors import DataError

# SHA-256 of the decompressed files.
FILES: Mapping[str, str] = MappingProxyType(
    {
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    }
)
# SHA-256 of the rows, each a label and 784 pixels as bytes, in the order of these bytes.
ROWS: Mapping[str, str] = MappingProxyType(
    {
        "fashion-mnist_test.csv": "b73438e78d64c9f337edad19c3eea888b49d646dbe27b46e4e3177218f3581e7",
        "fashion-mnist_train.csv": "56016b2341e99c383df5cc0ed736f4afb12a6c90855d9f3d69981b294a0159ad",
    }
)
# For each published image, the position of its row in that order, so that the published order can be restored.
RANKS = Path(__file__).with_name("fashion_mnist_ranks.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFiles(FileSet):
    """The CSV form; its images are returned in the order of the IDX files, so that both are the same dataset.

    Its checksums are those of the sorted rows; the file of the test set is the first.
    """

    ranks: Mapping[str, NDArray[np.integer]] | None = None  # by file name; None for those of Fashion-MNIST

    def read(self, folder: Path, *, test: bool, remedy: str) -> tuple[Pixels, Labels]:
        """Verify both files by the checksums of their sorted rows."""
        rows = {name: self._verified(folder, name, remedy) for name in self.names}
        chosen = rows[self.names[0 if test else 1]]
        side = int((chosen.shape[1] - 1) ** 0.5)
        return chosen[:, 1:].reshape(-1, side, side, 1), chosen[:, 0]

    def _verified(self, folder: Path, name: str, remedy: str) -> Pixels:
        from bench.data.loaders import pixel_csv

        path = self.find(folder, name) or folder / name
        samples = pixel_csv.read(path, UNCHANGED)
        if samples.labels.max() > 255:
            raise DataError(f"{path} has the label {samples.labels.max()}: it is not the published file. {remedy}")
        flat = samples.images.reshape(len(samples.images), -1)
        rows = np.concatenate([samples.labels[:, np.newaxis].astype(np.uint8), flat], axis=1)
        in_order = rows[row_order(rows)]
        if (found := rows_checksum(in_order)) != (expected := self.files[name]):
            raise DataError(
                f"{path} differs from the published file. Expected SHA-256 {expected} of its sorted rows, found "
                f"{found} ({len(rows):,} rows). {remedy}"
            )
        ranks = np.load(RANKS, allow_pickle=False) if self.ranks is None else self.ranks
        restored: Pixels = in_order[ranks[name]]
        return restored


def row_order(rows: Pixels) -> NDArray[np.int64]:
    """Indices that sort rows of bytes."""
    content = [row.tobytes() for row in rows]
    return np.array(sorted(range(len(rows)), key=content.__getitem__), dtype=np.int64)


def rows_checksum(rows: Pixels) -> str:
    """SHA-256 of rows of bytes."""
    return hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()


def sources(data_dir: Path | None) -> Sources:
    """The sources of Fashion-MNIST for this machine, `data_dir` first."""
    return Sources(
        title="Fashion-MNIST",
        name="fashion_mnist",
        data_dir=data_dir,
        cache=folders.cache_folder() / "fashion-mnist",
        system=Path("/usr/share/datasets/fashion-mnist"),
        keras=folders.keras_folder() / "datasets" / "fashion-mnist",
        file_sets=(
            VerifiedFiles(
                files=FILES,
                parse=published.parse_idx,
                url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            ),
            CsvFiles(files=ROWS),
        ),
        package="dataset-fashion-mnist",
    )
