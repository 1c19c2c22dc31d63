"""docs/tuning_scripts.md is true: its scripts run, and its options exist."""

import inspect
import re
from pathlib import Path

import pytest

from bench.api.search import search
from tuner_scripts import run_script

GUIDE = (Path(__file__).parents[2] / "docs" / "tuning_scripts.md").read_text(encoding="utf-8")
SCRIPT, DATASETS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
OPTIONS = {
    *("workers", "scheduler", "time_limit", "trial_timeout", "seed", "precision", "max_pending", "resume", "progress"),
}


def test_every_option_is_described() -> None:
    parameters = inspect.signature(search).parameters.values()
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} == OPTIONS
    listed = GUIDE.partition("## 3. Options")[2].partition("## 4.")[0]
    assert set(re.findall(r"`(\w+)=", listed)) == OPTIONS


@pytest.mark.slow
def test_scripts_run(tmp_path: Path) -> None:
    other_project = (
        "import tensorflow as tf\n"
        "tuner = keras_tuner.RandomSearch(build_model, 'val_accuracy', max_trials=2, directory='work')\n"
    )
    done = run_script(SCRIPT + other_project + DATASETS, tmp_path, prelude="")
    assert "Results summary" in done.stdout
    assert "hp_units_0" in done.stdout
