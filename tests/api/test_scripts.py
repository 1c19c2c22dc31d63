"""bench in scripts and notebooks: real processes, without a `__main__` guard."""

import re
from pathlib import Path

import nbformat
import pytest

from command_line import SECONDS, variables
from doc_pages import blocks
from notebooks import Client
from tuner_scripts import run_script

pytestmark = pytest.mark.slow

# Every process that executes the script leaves a line in the file.
EXECUTED = """
import os, sys
with open("executed.txt", "a") as file:
    file.write(f"{os.getpid()}\\n")
"""
# Its family and its dataset exist in the script only.
GUIDE = "\n".join(block.text for block in blocks("docs/python_scripts.md") if block.language == "python")
CHECKS = """
import numpy as np
assert "build_model" in run.label
assert run.trials.shape[0] == 3
assert run.predictions.shape[0] == 2 * (len(images) // 5)
assert 0.1 < run.test_accuracy < 1
probabilities = run.model().predict(images[:5, ..., None], verbose=0)
assert probabilities.shape == (5, 10) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5), probabilities

print("no progress from here", file=sys.stderr)
options = dict(tuner="random", trials=3, epochs=5, refit_seeds=2)
again = bench.run(build_model, (images, labels), **options, progress=False)
assert again.run_id == run.run_id
assert bench.leaderboard()["run_id"].tolist() == [run.run_id]
assert run.page.is_file()
"""


@pytest.mark.smoke
def test_script_of_the_guide_runs_once_without_a_main_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = run_script(EXECUTED + GUIDE + CHECKS, tmp_path, prelude="")
    assert len((tmp_path / "executed.txt").read_text().splitlines()) == 1
    assert "build_model on arrays: test accuracy" in done.stdout
    assert re.search(r"Starting \d+ worker process", done.stderr)
    assert done.stderr.endswith("no progress from here\n")
    page = next((tmp_path / "results" / "arrays").glob("build_model*.md")).read_text()
    assert "__main__:build_model" in page


CELLS = (
    (
        "import bench, keras\n"
        "from sklearn.datasets import load_digits\n"
        "digits = load_digits()\n"
        "images, labels = (digits.images * 15).astype('uint8'), digits.target\n"
        "dataset = (images[:1500], labels[:1500]), (images[1500:], labels[1500:])\n"
        "def build_net(hp):\n"
        "    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(hp.Choice('units', [8, 16]))])\n"
        "    model.add(keras.layers.Dense(10, activation='softmax'))\n"
        "    model.compile('adam', 'sparse_categorical_crossentropy')\n"
        "    return model"
    ),
    "run = bench.run(build_net, dataset, tuner='random', trials=2, epochs=30, refit_seeds=1, workers=1)",
    "run",
    "run.trials[['trial', 'status', 'validation_accuracy', 'hp_units']]",
    "assert run.predictions.shape[0] == len(images) - 1500\nbench.leaderboard()",
    "bench.run(family='tiny', dataset='digits', trials=3, epochs=30, refit_seeds=0)",
)


def test_notebook_shows_progress_and_results(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client = Client(notebook, timeout=SECONDS, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}})
    client.updates = []
    client.execute(env=variables(XDG_CACHE_HOME=str(tmp_path / "cache")))
    outputs = [cell.outputs for cell in notebook.cells]
    assert [each.output_type for each in outputs[1]] == ["display_data"], outputs[1]
    # Live: the output was updated while the search and the refit were running, and keeps its last state.
    texts = [each["text/plain"] for each in client.updates]
    assert any("stage: search" in text for text in texts)
    assert any("stage: refit" in text for text in texts)
    last = outputs[1][0].data
    assert "Starting 1 worker process" in last["text/plain"]
    assert "<td>2 of 2</td>" in last["text/html"]
    assert "build_net on arrays: test accuracy" in outputs[2][0].data["text/plain"]
    assert "hp_units" in outputs[3][0].data["text/html"]
    assert "build_net" in outputs[4][0].data["text/html"]
    assert outputs[5][-1].ename == "SpecError"
