"""What cannot be honored is an error with a remedy; what can be, works in scripts and in notebooks."""

import re
import subprocess
from pathlib import Path

import nbformat
import pytest

from command_line import SECONDS, variables
from notebooks import Client
from tuner_scripts import DIGITS, run_script

pytestmark = pytest.mark.slow

EXPECT = """
from bench.errors import SearchError, SpecError

def expect(kind, text, tuner, *arguments, **named):
    try:
        bench.search(tuner, *arguments, progress=False, **named)
    except kind as error:
        assert all(part in str(error) for part in text), error
        print(error)
    else:
        raise AssertionError(text)

def make(kind=keras_tuner.RandomSearch, **options):
    return kind(build_model, "val_loss", max_trials=2, seed=1, **options)

"""

ERRORS = """
import tensorflow as tf, threading
lock = threading.Lock()
dataset = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(32)
expect(SpecError, ["argument 1 is a tf.data.Dataset", "pass a function"], make(), dataset)
expect(SpecError, ["validation_data is a tf.data.Dataset"], make(), x_train, y_train, validation_data=dataset)
expect(SpecError, ["argument 1 is a generator"], make(), (each for each in [x_train]))
expect(SpecError, ["the callback LambdaCallback cannot be sent", "lock"], make(), x_train, y_train,
       callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: lock)])
expect(SpecError, ["expected a Keras Tuner tuner"], build_model)
expect(SpecError, ["distribution_strategy"], make(distribution_strategy=tf.distribute.get_strategy()), **data)
class OwnSearch(keras_tuner.RandomSearch):
    def search(self, *args, **kwargs):
        super().search(*args, **kwargs)

expect(SpecError, ["OwnSearch overrides search", "or use tuner.search"], make(OwnSearch), **data)
"""

CHANGES = """
class Curious(keras_tuner.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        return len(self.oracle.end_order)

expect(keras_tuner.errors.FatalRuntimeError, ["self.oracle.end_order", "return the metrics"], make(Curious), **data)

# Another search in the same folder is never continued.
tuner = make(project_name="changed")
bench.search(tuner, **data, epochs=1, workers=1, progress=False)
expect(SearchError, ["epochs from 1 to 2", "overwrite=True"], make(project_name="changed"), **data, epochs=2)
expect(SearchError, ["precision from 'float32' to 'bfloat16'"], tuner, **data, epochs=1, precision="bfloat16")
expect(SearchError, ["seed"], tuner, **data, epochs=1, seed=5)
original, build_model = build_model, lambda hp: original(hp) if hp.Boolean("new") else original(hp)
longer = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=3, seed=1, project_name="changed")
expect(SearchError, ["the hyperparameters of the hypermodel are not those"], longer, **data, epochs=1)
result = bench.search(tuner, **data, epochs=2, workers=1, progress=False, resume=False)
assert (result.trained, len(tuner.oracle.trials)) == (2, 2), result
"""


AGAIN = """
def values(tuner):
    return [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]

options = dict(epochs=1, workers=2, progress=False)
tuner = make(project_name="again")
bench.search(tuner, **data, **options)
first = values(tuner)
assert "rate" in tuner.oracle.get_space(), "the seed must give a trial that extends the space"

class Begun(keras_tuner.RandomSearch):
    def on_search_begin(self):
        self.begun = True

    def on_epoch_begin(self, *args, **kwargs):
        assert self.begun

# Keras Tuner reloads the extended space.
tuner = make(Begun, project_name="again")
assert bench.search(tuner, **data, **options, resume=False).trained == 2
assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}
assert values(tuner) == first, (values(tuner), first)

original, build_model = build_model, lambda hp: original(hp) if hp.Boolean("new") else original(hp)
expect(SearchError, ["the hyperparameters of the hypermodel are not those", "create the tuner with overwrite=True"],
       make(project_name="again"), **data, resume=False)
tuner = make(project_name="again", overwrite=True)
assert bench.search(tuner, **data, **options, resume=False).trained == 2
assert all("new" in each for each in values(tuner))

tuner = make(project_name="other")
tuner.search(**data, epochs=1, verbose=0)
expect(SearchError, ["has trials of tuner.search", "create the tuner with overwrite=True"], tuner, **data, resume=False)
assert len(values(make(project_name="other"))) == 2
"""

# The process that builds models dies in the first call.
UNKNOWN = """
import os
main, original = os.getpid(), build_model

def build_model(hp):
    if os.path.exists("crash.txt") and not hp.values and os.getpid() != main:
        os.kill(os.getpid(), 9)
    return original(hp)

open("crash.txt", "w").close()
options = dict(epochs=1, workers=1, progress=False)
assert bench.search(make(), **data, **options).trained == 2
os.remove("crash.txt")
longer = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=3, seed=1)
assert bench.search(longer, **data, **options).trained == 1
"""


def test_errors_name_the_object_and_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(DIGITS + EXPECT + ERRORS, {"__name__": "script"})  # in this process, since nothing is trained


@pytest.mark.long
def test_changed_search_is_refused(tmp_path: Path) -> None:
    run_script(EXPECT + CHANGES, tmp_path)


@pytest.mark.long
def test_search_that_starts_again_has_the_space_of_its_first_start(tmp_path: Path) -> None:
    run_script(EXPECT + AGAIN, tmp_path)


@pytest.mark.long
def test_hypermodel_that_could_not_be_built_is_not_a_changed_one(tmp_path: Path) -> None:
    run_script(EXPECT + UNKNOWN, tmp_path)


CORRECTED = """
with open("executed.txt", "a") as file:
    file.write("x")
print("the script's own output")

class Printing(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        print("from a trial")

def make():
    return keras_tuner.RandomSearch(build_model, "val_accuracy", max_trials=2, seed=1, directory="work")

options = dict(workers=1, validation_data=(x_val, y_val), verbose=2, callbacks=[Printing()])
bench.search(make(), x_train, y_train[:-1], epochs=1, **options)
original, build_model = build_model, lambda hp: original(hp) if hp.Boolean("new") else original(hp)
tuner = make()
result = bench.search(tuner, x_train, y_train, epochs=2, **options)
assert result.trained == 2 and all("new" in trial.hyperparameters.values for trial in tuner.oracle.trials.values())
corrected, build_model = build_model, lambda hp: corrected(hp) if hp.Boolean("newer") else corrected(hp)
try:
    bench.search(make(), x_train, y_train, epochs=2, **options)
except bench.errors.SearchError as error:
    assert "the hyperparameters of the hypermodel are not those of the trials" in str(error)
else:
    raise AssertionError("a changed model")
bench.search(tuner, x_train, y_train, epochs=2, **options)  # again
bench.search(tuner, x_train, y_train[::-1], epochs=2, **options)  # other data
build_model = lambda hp: (hp.Boolean("new"), original(hp))[1]  # other code with the same hyperparameters
bench.search(make(), x_train, y_train, epochs=2, **options)
"""


Script = tuple[Path, "subprocess.CompletedProcess[str]"]  # its working folder and its output


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Script:
    """The script after its end."""
    cwd = tmp_path_factory.mktemp("corrected")
    return cwd, run_script(CORRECTED, cwd)


def test_script_without_a_main_guard_runs_once_and_shows_progress(corrected: Script) -> None:
    cwd, done = corrected
    assert (cwd / "executed.txt").read_text() == "x"
    # Keras Tuner tells when it reloads a project.
    printed = [line for line in done.stdout.splitlines() if not line.startswith("Reloading Tuner")]
    assert printed == ["the script's own output"]
    assert "Starting 1 worker process" in done.stderr
    assert "untitled_project: search, trials " in done.stderr
    outputs = [path.read_text() for path in cwd.glob("work/*/trial_*/output.txt")]
    assert len(outputs) == 2
    assert all("from a trial" in output for output in outputs)


def test_call_that_was_corrected_trains_again_and_one_without_anything_to_train_says_so(corrected: Script) -> None:
    _, done = corrected
    assert done.stderr.count("UserWarning: no trial succeeded: 2 trials (2 failed) in ") == 1
    assert "script.py:" in done.stderr.split("UserWarning")[0].splitlines()[-1]
    # The first of several lines of the error.
    assert "failed: ValueError: Data cardinality is ambiguous." in done.stderr
    assert "No earlier trial succeeded (2 failed): starting from the beginning" in done.stderr
    assert done.stderr.count("Resuming: reusing 2 trials of earlier calls") == 3
    end = r"Best val_accuracy 0\.\d+ \(trial \d\) after \d+ s: 2 trials in .*, 2 of them trained in this call$"
    assert re.search(end, done.stderr, re.MULTILINE)
    assert done.stderr.splitlines()[-1].endswith("untitled_project, 0 of them trained in this call")
    assert done.stderr.count("UserWarning: the data differs from that of the earlier trials in ") == 1
    assert done.stderr.count("UserWarning: the code of the hypermodel or of its data has changed since ") == 1


CELLS = (
    DIGITS,
    (
        "tuner = keras_tuner.RandomSearch(build_model, 'val_accuracy', max_trials=2, seed=1)\n"
        "result = bench.search(tuner, **data, epochs=20, workers=1)"
    ),
    "result",
    "result.executions[['trial', 'status', 'val_accuracy', 'hp_units']]",
    "len(tuner.get_best_models())",
)


@pytest.mark.long
def test_notebook_shows_progress_and_results(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in (*CELLS, *CELLS[:2])]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = Client(notebook, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}})
    client.updates = []
    client.execute(env=variables())
    outputs = [cell.outputs for cell in notebook.cells]
    (shown,) = [each for each in outputs[1] if each.output_type == "display_data"]
    assert "Starting 1 worker process" in shown.data["text/plain"]
    assert "<td>2 of 2</td>" in shown.data["text/html"]
    assert any("best validation score: val_accuracy 0." in each["text/plain"] for each in client.updates)
    assert ", 2 of them trained in this call" in outputs[2][0].data["text/plain"]
    assert "hp_units" in outputs[3][0].data["text/html"]
    assert outputs[4][-1].data["text/plain"] == "1"
    again = "\n".join(str(each) for each in outputs[6])
    assert "Resuming: reusing 2 trials" in again
    assert "has changed" not in again


@pytest.mark.long
def test_modules_next_to_the_script_are_found(tmp_path: Path) -> None:
    model = DIGITS.partition("def build_model")[2].partition("data =")[0]
    (tmp_path / "models.py").write_text(f"import keras\nfrom keras import layers\n\n\ndef build_model{model}")
    script = DIGITS.partition("def build_model")[0] + "from models import build_model\n"
    script += "data = dict(x=x_train, y=y_train, validation_data=(x_val, y_val))\n"
    script += "tuner = keras_tuner.RandomSearch(build_model, 'val_loss', max_trials=2)\n"
    script += "bench.search(tuner, **data, epochs=1, workers=1, seed=3, progress=False)\n"
    script += "assert {trial.status for trial in tuner.oracle.trials.values()} == {'COMPLETED'}\n"
    run_script(script, tmp_path, prelude="")
