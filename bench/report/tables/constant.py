"""Columns with the same text in every row, which belong in the caption of a table."""

from collections.abc import Collection

import pandas as pd


def split_constant(frame: pd.DataFrame, keep: Collection[str] = ()) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table without its constant columns, and these as name and value; a table of one row keeps all.

    Args:
        frame: a table of text.
        keep: columns that stay in any case.
    """
    if len(frame) < 2:
        return frame, {}
    constant = {
        str(name): str(frame[name].iloc[0])
        for name in frame.columns
        if name not in keep and frame[name].eq(frame[name].iloc[0]).all()
    }
    return frame.drop(columns=list(constant)), constant


def constant_sentence(constant: dict[str, str]) -> str:
    """The constant columns as a sentence; empty without any."""
    named = "; ".join(f"{name}: {value}" for name, value in constant.items())
    return f"The same in every row: {named}." if named else ""
