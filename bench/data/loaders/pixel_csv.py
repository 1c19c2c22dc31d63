"""CSV files with one image a row: `label,pixel1,...,pixel784`, with or without a header, gzipped or not."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.loaders.bounded import open_binary
from bench.data.samples import Reading, Samples, row_shape
from bench.errors import DataError

CHUNK_VALUES = 4_000_000  # pixels that are parsed at a time, since numbers take much more memory than pixels
EXCESS = "excess"  # column of the first field beyond the last pixel, which no line may have
LABEL_COLUMNS = ("label", "labels", "class", "target", "y")
PIXEL_COLUMN = re.compile(r"(pixel|px|p)?[_ ]?\d+([x_]\d+)*", re.IGNORECASE)
MAX_LABEL = 100_000
LABELS = "labels must be whole numbers from 0 to the number of classes minus 1"
EXPECTED = "expected a column `label` and one column per pixel, e.g. label,pixel1,pixel2,..., separated by commas"
UNLABELED = ". If only the training images have labels, pass the path of their file: a test set is then split off"


def read(path: Path, reading: Reading) -> Samples:
    """Read a file.

    Raises:
        DataError: it is not such a file; names the line and the column.
    """
    names = _first_line(path)
    if has_header := _is_header(names, path):
        position = names.index(_label_column(names, path))
    else:
        names, position = ["label", *(f"pixel{number}" for number in range(1, len(names)))], 0
    labels, pixels = [], []
    for chunk in _chunks(path, names, has_header=has_header):
        values = _numbers(chunk, position, path)
        labels.append(values[:, position].astype(np.int64))
        pixels.append(np.delete(values, position, axis=1).astype(np.uint8))
    if not sum(map(len, labels)):
        raise DataError(f"{path} contains no images: {EXPECTED}")
    images = np.concatenate(pixels)
    shape = row_shape(images.shape[1], str(path), reading.image_size)
    return Samples(images=images.reshape(-1, *shape), labels=np.concatenate(labels), where=str(path))


def _first_line(path: Path) -> list[str]:
    with open_binary(path) as file:
        line = file.readline(2**22)
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file: {EXPECTED}") from error
    if not text:
        raise DataError(f"{path} is empty or starts with an empty line: {EXPECTED}")
    fields = [field.strip().strip('"') for field in text.split(",")]
    if len(fields) < 2:
        raise DataError(f"{path}, line 1 has a single column, {text[:40]!r}: {EXPECTED}")
    return fields


def _is_header(fields: list[str], path: Path) -> bool:
    """Whether the fields of the first line are names of columns, rather than an image."""
    if len(fields) > 16 and fields == [*map(str, range(len(fields)))]:
        raise DataError(
            f"{path}, line 1 has column numbers 0 to {len(fields) - 1} instead of names: write the file with "
            "header=False, or call the first column label"
        )
    return not all(re.fullmatch(r"[-+]?\d*\.?\d*(e[-+]?\d+)?", field) for field in fields)


def _label_column(header: list[str], path: Path) -> str:
    labels = [name for name in header if name.lower() in LABEL_COLUMNS]
    if len(labels) != 1:
        found = f"columns {', '.join(labels)}" if labels else f"no column `label` in {', '.join(header[:4])}, ..."
        raise DataError(f"{path}, line 1: {found}: {EXPECTED}{'' if labels else UNLABELED}")
    others = (name for name in header if name != labels[0] and not PIXEL_COLUMN.fullmatch(name))
    if (other := next(others, None)) is not None:
        raise DataError(f"{path}, line 1: column {other!r} is not a pixel: remove it; {EXPECTED}")
    if len(set(header)) != len(header):
        raise DataError(f"{path}, line 1: two columns have the same name: {EXPECTED}")
    return labels[0]


def _chunks(path: Path, names: list[str], *, has_header: bool) -> Iterator[pd.DataFrame]:
    """The rows in pieces; the index is the line number in the file."""
    lines, rows = 1 + has_header, max(1, CHUNK_VALUES // len(names))
    with open_binary(path) as file:
        try:
            for chunk in pd.read_csv(
                file,
                header=None,
                names=[*names, EXCESS],
                index_col=False,
                skiprows=int(has_header),
                chunksize=rows,
                skip_blank_lines=False,
                skipinitialspace=True,
                low_memory=False,
                on_bad_lines="error",
            ):
                chunk.index = pd.RangeIndex(lines, lines + len(chunk))
                lines += len(chunk)
                too_long = chunk.index[chunk.pop(EXCESS).notna()]
                if len(too_long):
                    raise DataError(f"{path}, line {too_long[0]} has more than {len(names)} columns: {EXPECTED}")
                yield _without_empty_end(chunk, rows)
        except pd.errors.EmptyDataError:
            return
        except pd.errors.ParserError as error:
            raise DataError(f"{path}{_ragged(str(error), len(names))}: {EXPECTED}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not a text file: {EXPECTED}") from error


def _without_empty_end(chunk: pd.DataFrame, rows: int) -> pd.DataFrame:
    """The rows of a piece, without empty lines at its end if it is the last one, which has fewer than `rows`."""
    if len(chunk) == rows:
        return chunk
    filled = np.flatnonzero(chunk.notna().any(axis="columns"))
    return chunk.iloc[: filled[-1] + 1 if len(filled) else 0]


def _ragged(error: str, columns: int) -> str:
    match = re.search(r"in line (\d+), saw (\d+)", error)
    if match is None:
        return f" cannot be read as CSV: {error.strip()}"
    return f", line {match[1]} has {match[2]} columns instead of {columns}"


def _numbers(chunk: pd.DataFrame, position: int, path: Path) -> NDArray[np.int32]:
    """The values of rows, whole numbers; that of the label is at `position`."""
    is_text = [not pd.api.types.is_numeric_dtype(kind) for kind in chunk.dtypes]
    _check_missing(chunk, path)
    numbers = chunk.apply(pd.to_numeric, errors="coerce") if any(is_text) else chunk
    values = numbers.to_numpy(np.float64)
    upper = np.full(values.shape[1], 255.0)
    upper[position] = MAX_LABEL
    with np.errstate(invalid="ignore"):
        valid = (values >= 0) & (values <= upper) & (values == np.rint(values))
    if valid.all():
        return values.astype(np.int32)
    row, column = np.argwhere(~valid)[0]
    expected = LABELS if column == position else "pixels must be whole numbers from 0 to 255"
    found, name = chunk.iloc[row, column], chunk.columns[column]
    raise DataError(f"{path}, line {chunk.index[row]}, column {name!r} is {found}: {expected}")


def _check_missing(chunk: pd.DataFrame, path: Path) -> None:
    missing = chunk.isna().to_numpy()
    if not missing.any():
        return
    row = int(np.argwhere(missing)[0][0])
    columns = np.flatnonzero(missing[row])
    line, width = chunk.index[row], chunk.shape[1]
    if len(columns) == width:
        raise DataError(f"{path}, line {line} is empty: remove it")
    if columns[-1] == width - 1 and len(columns) == width - columns[0]:
        raise DataError(f"{path}, line {line} has {columns[0]} values instead of {width}: {EXPECTED}")
    raise DataError(f"{path}, line {line}, column {chunk.columns[columns[0]]!r} is missing: fill it or remove the line")
