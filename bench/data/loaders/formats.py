"""Choose the loader of a file or folder by its name and content."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.data.dataset import Notify
from bench.data.loaders import class_names, confined, idx_files, image_folder, npz, pixel_csv
from bench.data.loaders.folders import is_file
from bench.data.samples import Allocate, Reading, Samples, Source
from bench.errors import DataError

CLASS_NAMES_FILES = ("class_names.txt", "classes.txt", "labels.txt")
CSV_SUFFIXES = (".csv", ".csv.gz")
NPZ_SUFFIX = ".npz"
EXPECTED = (
    "expected a folder with one folder of images per class (or train/ and test/ with such folders), an .npz "
    "file, CSV files (label,pixel1,...) or IDX files, the last two gzipped or not"
)


def read(path: Path, reading: Reading, allocate: Allocate, notify: Notify) -> Source:
    """Read the dataset at `path`.

    Args:
        path: a file or a folder.
        reading: what the user asked for.
        allocate: provides the memory of decoded images.
        notify: called with a one-line message during steps longer than a few seconds.

    Raises:
        DataError: no format fits, or the content is invalid; names the file and the problem.
    """
    if is_file(path):
        return _read_file(path, reading)
    entries = confined.entries(path, path)
    files = [entry for entry in entries if entry.is_file()]
    formats: dict[str, Callable[[], Source]] = {}
    if any(idx_files.is_idx(file) for file in files):
        formats["IDX files"] = lambda: _read_idx(files, path, reading)
    if tables := [file for file in files if _is_csv(file)]:
        formats["CSV files"] = lambda: _read_csv(tables, reading)
    if archives := [file for file in files if file.suffix.lower() == NPZ_SUFFIX]:
        formats[".npz files"] = lambda: _read_npz(archives, reading)
    if any(entry.is_dir() or image_folder.is_image(entry) for entry in entries):
        formats["folders or images"] = lambda: image_folder.read(path, reading, allocate, notify)
    if len(formats) != 1:
        found = f"contains {' and '.join(formats)}" if formats else f"contains no dataset ({_listing(files)})"
        raise DataError(f"{path} {found}: {EXPECTED}")
    source = next(iter(formats.values()))()
    return replace(source, class_names=source.class_names or _names_in_folder(files))


def files_of(path: Path) -> tuple[Path, ...]:
    """What is read for `path`: for a file of IDX images also that of its labels.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    is_idx = is_file(path) and idx_files.is_idx(path)
    return idx_files.pair_of(path) if is_idx else (path,)


def _read_file(path: Path, reading: Reading) -> Source:
    if path.suffix.lower() == NPZ_SUFFIX:
        return npz.read(path, reading)
    if _is_csv(path):
        return Source(train=pixel_csv.read(path, reading), test=None)
    if idx_files.is_idx(path):
        return Source(train=idx_files.read(*idx_files.pair_of(path), reading), test=None)
    raise DataError(f"{path} is not a dataset: {EXPECTED}")


def _is_csv(path: Path) -> bool:
    return path.name.lower().endswith(CSV_SUFFIXES)


def _read_idx(files: list[Path], folder: Path, reading: Reading) -> Source:
    parts = {start: idx_files.read(*pair, reading) for start, pair in idx_files.pairs(files).items()}
    return _train_and_test(parts, folder, "pairs of IDX files")


def _read_csv(tables: list[Path], reading: Reading) -> Source:
    if len(tables) > 2:
        raise DataError(
            f"{tables[0].parent} contains {len(tables)} CSV files: expected one, or two for train and test; to use "
            "one of them, pass its path"
        )
    return _train_and_test(
        {table.name.lower(): pixel_csv.read(table, reading) for table in tables}, tables[0].parent, "CSV files"
    )


def _read_npz(archives: list[Path], reading: Reading) -> Source:
    if len(archives) > 1:
        raise DataError(
            f"{archives[0].parent} contains {len(archives)} .npz files: expected one, with all arrays; pass its path"
        )
    return npz.read(archives[0], reading)


def _train_and_test(parts: dict[str, Samples], folder: Path, what: str) -> Source:
    """Which part is for training and which for testing, by their names."""
    if len(parts) == 1:
        return Source(train=next(iter(parts.values())), test=None)
    tests = [name for name in parts if re.search(r"(?<![a-z])(test|t10k)", name)]  # not in latest.csv
    if len(parts) != 2 or len(tests) != 1:
        raise DataError(
            f"{folder} contains {len(parts)} {what}, {', '.join(parts)}: expected one, or two with the words "
            "`train` and `test` in their names"
        )
    test = parts.pop(tests[0])
    return Source(train=next(iter(parts.values())), test=test)


def _names_in_folder(files: list[Path]) -> tuple[str, ...]:
    listed = [file for name in CLASS_NAMES_FILES for file in files if file.name.lower() == name]
    return class_names.read(listed[0]) if listed else ()


def _listing(files: list[Path]) -> str:
    return ", ".join(file.name for file in files[:3]) if files else "it is empty"
