"""Scripts that use Keras Tuner, with and without the line that calls bench.search instead of tuner.search.

python tests/benchmarks/tuning_scripts.py

- speed: trials per hour of a whole script, for small dense and convolutional models, on the same trials.
- memory: of all processes of a script, over many trials.
- kill: how many trials are trained again after a kill in the middle.
- truncation: the same, with a trial.json that is cut off.

Each measurement is one script in its own process; the two sides alternate. Measurements are stored in
results/benchmarks/tuning_scripts.json after each, so that repeating the command continues; the page next to it is
results/benchmarks/tuning_scripts.md, which --page-only writes without measuring. Run it on an otherwise idle machine.
The images are synthetic.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec
import psutil  # type: ignore[import-untyped]  # distributed depends on it
from tabulate import tabulate

from bench.machine import Environment, environment
from bench.records.encoding import read_json

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.large_dataset import sample
from benchmarks.shared import library_versions, page, page_parser, publish, store, verdicts

Side = Literal["tuner.search", "bench.search"]
SIDES: tuple[Side, ...] = ("tuner.search", "bench.search")
LINES: dict[Side, str] = {"tuner.search": "tuner.search(", "bench.search": "bench.search(tuner, "}
MODELS = ("dense", "cnn")
KINDS = ("speed", "memory", "kill", "truncation")
TRIALS = {"dense": 24, "cnn": 12}
EPOCHS, IMAGES = 3, 20_000  # per trial; of the images, a fifth is for validation
ROUNDS = 3
MEMORY_TRIALS = 200
FEW = ("memory", "truncation")  # kinds with as many epochs and images as follow, since they need many trials
FEW_EPOCHS, FEW_IMAGES = 1, 2_000
# bench.search writes Keras Tuner's files later than its ledger, so a trial.json exists only after many trials.
KILL_TRIALS, KILLED_AFTER = {"kill": 16, "truncation": 48}, {"kill": 6, "truncation": 40}
POLL_SECONDS = 0.2
GOALS = {"dense": 2.5, "cnn": 1.6}
TRUNCATED_BYTES = 100
SPEED_TEXT = (
    f"{TRIALS['dense']} dense and {TRIALS['cnn']} convolutional models, the same on both sides, each trained for "
    f"{EPOCHS} epochs on {IMAGES:,} synthetic images of 28x28 pixels, a fifth of them for validation. The time is that "
    "of the whole script, with imports and the start of the workers."
)
MEMORY_TEXT = (
    f"Memory of all processes; dense models, trained for {FEW_EPOCHS} epoch on {FEW_IMAGES:,} images. The last row is "
    f"the last sample before the end of {MEMORY_TRIALS} trials."
)
MEBIBYTE = 2**20 / 1e6  # in MB
KILL_TEXT = """\
Trials that were running at the kill start again, and do not count. A trial that ended just before the kill is trained
again if its result was not yet on disk."""

# Counts trainings in a file, and takes its parameters from the command line: model, trials, epochs, images.
SCRIPT = """
import sys
import keras, keras_tuner, numpy as np
from keras import layers
import bench

model_name, trials, epochs, images = sys.argv[1], *map(int, sys.argv[2:])
random = np.random.default_rng(1)
centers = random.normal(size=(10, 28, 28, 1))
y = random.integers(0, 10, images)
x = (centers[y] + 2 * random.normal(size=(images, 28, 28, 1))).astype("float32")
split = images * 4 // 5

def dense(hp):
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten()])
    for layer in range(hp.Int("layers", 1, 2)):
        model.add(layers.Dense(hp.Int(f"units_{layer}", 32, 128, step=32), activation="relu"))
    return finish(hp, model)

def cnn(hp):
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for layer in range(hp.Int("layers", 1, 2)):
        model.add(layers.Conv2D(hp.Int(f"filters_{layer}", 8, 24, step=8), 3, activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    return finish(hp, model)

def finish(hp, model):
    model.add(layers.Dense(10, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

class Count(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        with open("trained.txt", "a") as file:
            file.write("x")

build = {"dense": dense, "cnn": cnn}[model_name]
tuner = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=trials, seed=1, directory="work")
SEARCH(
    x[:split], y[:split], validation_data=(x[split:], y[split:]), epochs=epochs, batch_size=64, callbacks=[Count()],
    verbose=0,
)
assert len(tuner.oracle.trials) == trials
assert all(trial.status == "COMPLETED" for trial in tuner.oracle.trials.values())
tuner.get_best_models()
"""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One script."""

    kind: Literal["speed", "memory", "kill", "truncation"]
    side: Side
    model: str
    round: int
    trials: int
    seconds: float  # of the whole script, or of its second call
    trained: int  # trainings of both calls
    first: str  # hyperparameters of all trials, to check that both sides train the same
    exit_code: int
    memory: Sequence[tuple[int, float]] = ()  # trials that have ended, MiB of all processes


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on the page."""

    environment: Environment
    measures: Sequence[Measure]


class Script:
    """The script of a side in a folder of its own."""

    def __init__(self, side: Side, cwd: Path, *, model: str, trials: int, epochs: int, images: int) -> None:
        self.cwd, self.trials = cwd, trials
        self.memory: list[tuple[int, float]] = []
        (cwd / "script.py").write_text(SCRIPT.replace("SEARCH(", LINES[side]))
        self._command = [sys.executable, "script.py", model, *map(str, (trials, epochs, images))]

    def run(self, *, kill_after: int | None = None) -> tuple[float, int]:
        """Run it; returns seconds and exit code.

        Args:
            kill_after: number of trials after which all its processes are killed.
        """
        started = time.monotonic()
        with self._process() as process:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                ended = self.ended()
                if not self.memory or ended >= self.memory[-1][0] + 10:
                    self.memory.append((ended, sample(psutil.Process(process.pid)).bytes / 2**20))
                if kill_after is not None and ended >= kill_after:
                    break
            code = -signal.SIGKILL if process.poll() is None else process.returncode
        return time.monotonic() - started, code

    def ended(self) -> int:
        """Number of trainings that have ended."""
        path = self.cwd / "trained.txt"
        return path.stat().st_size if path.exists() else 0

    def hyperparameters(self) -> str:
        """Those of all trials."""
        files = sorted(self.cwd.glob("work/*/trial_*/trial.json"))
        return json.dumps([json.loads(path.read_text())["hyperparameters"]["values"] for path in files], sort_keys=True)

    @contextmanager
    def _process(self) -> "Iterator[subprocess.Popen[bytes]]":
        with (self.cwd / "log.txt").open("ab") as log:
            process = subprocess.Popen(self._command, cwd=self.cwd, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def measure(kind: str, side: Side, model: str, number: int) -> Measure:
    """Make one measurement."""
    trials = {"speed": TRIALS[model], "memory": MEMORY_TRIALS, **KILL_TRIALS}[kind]
    epochs, images = (FEW_EPOCHS, FEW_IMAGES) if kind in FEW else (EPOCHS, IMAGES)
    with tempfile.TemporaryDirectory() as name:
        script = Script(side, Path(name), model=model, trials=trials, epochs=epochs, images=images)
        if kind in KILLED_AFTER:
            script.run(kill_after=KILLED_AFTER[kind])
        if kind == "truncation":
            _truncate(Path(name))
        seconds, code = script.run()
        return Measure(
            kind=kind,  # type: ignore[arg-type]
            side=side,
            model=model,
            round=number,
            trials=trials,
            seconds=seconds,
            trained=script.ended(),
            first=script.hyperparameters() if code == 0 else "",
            exit_code=code,
            memory=script.memory,
        )


def _truncate(folder: Path) -> None:
    path = min(folder.glob("work/*/trial_*/trial.json"))
    path.write_bytes(path.read_bytes()[:TRUNCATED_BYTES])


def _page(measurements: Measurements) -> str:
    """The page, as Markdown."""
    machine, measures = measurements.environment, measurements.measures
    versions = library_versions(machine, "TensorFlow", "Keras", "Keras Tuner")
    return page(
        "# Keras Tuner scripts with one line changed",
        f"{machine.cpu}, {machine.cores} cores, {versions}, float32.",
        "## Trials per hour of the whole script",
        f"{SPEED_TEXT} Medians of {_rounds(measures)} rounds.",
        _table(("model", *(f"`{side}` (trials per hour)" for side in SIDES), "speedup", "goal"), _speed_rows(measures)),
        *verdicts(_goals(measures)),
        "## Memory",
        MEMORY_TEXT,
        _table(("side", "trials that have ended", "memory (MB)"), _memory_rows(measures)),
        "## After a kill",
        _table(("case", "side", "second call", "trials trained again"), _kill_rows(measures)),
        KILL_TEXT,
        "Generated by `python tests/benchmarks/tuning_scripts.py` from [tuning_scripts.json](tuning_scripts.json).",
    )


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    shown = list(rows)
    return tabulate(shown, headers, "pipe", disable_numparse=True) if shown else "Not measured."


def _speed_rows(measures: Sequence[Measure]) -> Iterator[tuple[str, ...]]:
    for model, rates in _rates(measures).items():
        yield model, *(f"{rate:,.0f}" for rate in rates), f"{rates[1] / rates[0]:.2f}", f"{GOALS[model]:.1f}"


def _goals(measures: Sequence[Measure]) -> Iterator[tuple[str, bool]]:
    """Every goal with what was measured, and whether it is met."""
    for model, (stock, suite) in _rates(measures).items():
        yield f"{model}, speedup {suite / stock:.2f} (goal {GOALS[model]:.1f})", suite / stock >= GOALS[model]


def _rounds(measures: Sequence[Measure]) -> int:
    """The number of rounds of every model and side."""
    return min(sum(_is(each, "speed", side, model) for each in measures) for model in MODELS for side in SIDES)


def _rates(measures: Sequence[Measure]) -> dict[str, tuple[float, float]]:
    """Trials per hour of both sides by model, medians over the rounds."""
    found = {}
    for model in MODELS:
        rates = {
            side: [3600 * each.trials / each.seconds for each in measures if _is(each, "speed", side, model)]
            for side in SIDES
        }
        if all(rates.values()):
            found[model] = (median(rates["tuner.search"]), median(rates["bench.search"]))
    return found


def _memory_rows(measures: Sequence[Measure]) -> Iterator[tuple[str, ...]]:
    for each in measures:
        if each.kind == "memory":
            shown = dict([*each.memory[2::6], each.memory[-1]])
            yield from ((f"`{each.side}`", str(ended), f"{memory * MEBIBYTE:,.0f}") for ended, memory in shown.items())


def _kill_rows(measures: Sequence[Measure]) -> Iterator[tuple[str, ...]]:
    for each in measures:
        if each.kind in ("kill", "truncation"):
            ended = "completes" if each.exit_code == 0 else f"fails with exit code {each.exit_code}"
            case = f"killed when {KILLED_AFTER[each.kind]} of {each.trials} trials had ended"
            case += "" if each.kind == "kill" else ", and a trial.json cut off"
            again = str(max(0, each.trained - each.trials)) if each.exit_code == 0 else "all"
            yield case, f"`{each.side}`", ended, again


def _is(each: Measure, kind: str, side: Side, model: str) -> bool:
    return (each.kind, each.side, each.model, each.exit_code) == (kind, side, model, 0)


def _planned(kinds: Sequence[str]) -> Iterator[tuple[str, Side, str, int]]:
    for number in range(ROUNDS):
        for kind in kinds:
            models = MODELS if kind == "speed" else MODELS[:1]
            if kind == "speed" or number == 0:
                sides = SIDES[number % 2 :] + SIDES[: number % 2]
                yield from ((kind, side, model, number) for model in models for side in sides)


def _check_same_trials(measures: Sequence[Measure]) -> None:
    for model in MODELS:
        found = {each.first for each in measures if each.kind == "speed" and each.model == model}
        if len(found) > 1:
            raise SystemExit(f"the sides trained different {model} models, so their times cannot be compared")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and write the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--results", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args(arguments)
    path = options.results / "tuning_scripts.json"
    stored: Measurements | None = read_json(Measurements, path) if path.exists() else None
    measures = [] if stored is None else list(stored.measures)
    for kind, side, model, number in _planned(() if options.page_only else options.kinds):
        if any((each.kind, each.side, each.model, each.round) == (kind, side, model, number) for each in measures):
            continue
        print(f"{kind}, {side}, {model}, round {number}", flush=True)
        measures.append(measure(kind, side, model, number))
        print(f"  {measures[-1].seconds:.0f} s, exit code {measures[-1].exit_code}", flush=True)
        _check_same_trials(measures)
        stored = Measurements(environment=environment(), measures=measures)
        store(path, stored)
    if stored is not None:
        publish(path.with_suffix(".md"), _page(stored))


if __name__ == "__main__":
    main()
