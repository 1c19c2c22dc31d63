"""Runs, trials and predictions as CSV, Parquet or JSON files."""

import io
import json
from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from bench.errors import ExtensionError
from bench.machine import install_command
from bench.records.choices import TableFormat
from bench.report.board import Board
from bench.report.exports import runs_of
from bench.report.frames import predictions_frame, runs_frame, trials_frame


def tables(board: Board, kind: TableFormat) -> Iterator[tuple[str, bytes]]:
    """Runs, trials if there are any, and the predictions of each run, as path and content.

    One by one, since all predictions together may be large.

    Raises:
        ExtensionError: a library for the format is missing.
        RecordError: the predictions of a run cannot be read.
    """
    encode = _ENCODERS[kind]
    runs = runs_of(board)
    yield f"runs.{kind}", encode(runs_frame(board))
    trials = trials_frame(run.record for run in runs)
    if not trials.empty:  # pandas cannot read an empty CSV file
        yield f"trials.{kind}", encode(trials)
    for run in runs:
        frame = predictions_frame(run.record, run.folder.read_predictions(run.record))
        yield f"predictions/{run.record.dataset.name}/{run.record.run_id}.{kind}", encode(frame)


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def _json(frame: pd.DataFrame) -> bytes:
    """A list of objects, with null for missing values, at full precision."""
    values = frame.astype(object).where(frame.notna(), None)
    return (json.dumps(values.to_dict("records"), indent=1, default=_plain) + "\n").encode()


def _plain(value: object) -> object:
    """A NumPy number as Python's."""
    return value.item()  # type: ignore[attr-defined]


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    try:
        _uniform(frame).to_parquet(buffer, index=False, engine="pyarrow")
    except ImportError as error:
        raise ExtensionError(
            f"Parquet needs pyarrow, which is not installed: run `{install_command('pyarrow')}`"
        ) from error
    return buffer.getvalue()


def _uniform(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with text in columns of several types: a hyperparameter may have others in another family."""
    mixed = [
        name
        for name in frame.columns
        if frame[name].dtype == object and len({_kind(value) for value in frame[name].dropna()}) > 1
    ]
    text = {name: frame[name].map(lambda value: None if pd.isna(value) else str(value)) for name in mixed}
    return frame.assign(**text)


def _kind(value: object) -> type:
    """The type of a value; integers and fractions count as one."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


_ENCODERS: Mapping[TableFormat, Callable[[pd.DataFrame], bytes]] = {"csv": _csv, "json": _json, "parquet": _parquet}
