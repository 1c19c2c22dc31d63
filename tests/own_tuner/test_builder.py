"""The process that builds models."""

from contextlib import closing
from pathlib import Path

import pytest

from bench.errors import SearchError
from bench.own_tuner.builder import Builder
from bench.own_tuner.shared import Shared


def test_process_that_does_not_start_ends_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.workers.process.START_SECONDS", 0)
    shared = Shared(tmp_path, str, "spawn")
    builder = Builder(object(), shared, None, print)
    with closing(builder), pytest.raises(SearchError, match="did not start within 0 s"):
        builder.space_after_build({"space": [], "values": {}})
