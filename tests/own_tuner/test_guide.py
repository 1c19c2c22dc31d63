"""docs/tuning_scripts.md names all options; tests/test_docs.py runs its script."""

import inspect
import re
from pathlib import Path

from bench.api.search import search

GUIDE = (Path(__file__).parents[2] / "docs" / "tuning_scripts.md").read_text(encoding="utf-8")
OPTIONS = {
    *("workers", "scheduler", "time_limit", "trial_timeout", "seed", "precision", "max_pending", "resume", "progress"),
}


def test_every_option_is_described() -> None:
    parameters = inspect.signature(search).parameters.values()
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} == OPTIONS
    listed = GUIDE.partition("## 3. Options")[2].partition("## 4.")[0]
    assert set(re.findall(r"`(\w+)=", listed)) == OPTIONS
