"""How much sooner the suite's presets reach the test accuracy of searches by stock Keras Tuner.

python tests/benchmarks/time_to_accuracy.py

Three comparisons, each in rounds of two whole processes, start-up included, the order of which alternates:
- tutorial: the dense family, with the search of Keras Tuner's introduction: Hyperband over one dense layer and the
  learning rate, the winner trained for 50 epochs and retrained for the best number of epochs.
- dense, cnn: the family with Hyperband, with stock `keras_tuner.Hyperband` over the same space for the same number of
  epochs, its winner retrained with the same number of seeds.
The suite's preset is fixed beforehand: quick, with which three rounds of all comparisons take a few hours. A speedup
counts only if the suite's mean test accuracy is at least that of the other side. Then the winners of published runs are
trained again, which shows the seconds to a given validation accuracy.

Every finished side and training is appended to a file in results/benchmarks/time_to_accuracy; repeating the command
continues, in later sessions too. With --page-only it writes page and plot next to that folder and measures nothing. Run
it on an otherwise idle machine.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, product
from math import ceil, inf
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any, Literal

# Only fast imports, since they count as start-up time of stock Keras Tuner; everything else is imported in functions.
import search_spaces
from bench.data.catalog import DatasetLocation, locate
from bench.data.development import load_development
from bench.data.held_out import HeldOutTestSet
from bench.data.splits import split
from bench.machine import Environment, environment
from bench.records.choices import PRESETS, Precision, Preset
from bench.records.encoding import encode, read_lines
from bench.records.evaluation_log import EvaluationLog
from bench.records.files import append_line, write_atomic
from bench.records.spec import SearchSpec, TrialSpec
from bench.seeds import derive_seed
from bench.tuning.presets import PresetPlan

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import (
    COLORS,
    execute_job,
    library_versions,
    page,
    page_parser,
    preload_libraries,
    publish,
    run_child,
    run_tasks,
    run_timed,
    table,
    verdicts,
)

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.data.dataset import Dataset

NAME = "time_to_accuracy"
Side = Literal["suite", "Keras Tuner"]
SIDES: tuple[Side, ...] = ("Keras Tuner", "suite")
TUTORIAL_EPOCHS = 50  # of the winner
ROUNDS_PLANNED = 3
ROUNDS, TRAININGS = "rounds.jsonl", "trainings.jsonl"
THRESHOLDS = {"dense": (0.88, 0.89, 0.90), "cnn": (0.90, 0.91, 0.92, 0.93)}  # validation accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A family searched by the suite against a search by stock Keras Tuner."""

    family: str
    arguments: tuple[str, ...] = ()  # of `bench run`, in addition to family and preset
    goal: float  # speedup


COMPARISONS = {
    "tutorial": Comparison(family="dense", goal=10.0),
    "dense": Comparison(family="dense", arguments=("--tuner", "hyperband"), goal=4.0),
    "cnn": Comparison(family="cnn", arguments=("--tuner", "hyperband"), goal=4.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One side of a round, which runs in its own process."""

    comparison: str
    side: Side
    round: int  # from 1
    dataset: str  # name, or path of its file
    family: str
    preset: Preset
    plan: PresetPlan  # of the suite
    results: str  # folder in which test-set evaluations are logged

    @property
    def seed(self) -> int:
        """Base seed of the side's search; each round is an independent search."""
        return self.round - 1

    @property
    def name(self) -> str:
        """Name in messages and in the log of test-set evaluations."""
        return f"{self.comparison}, round {self.round}, {self.side}"

    @property
    def log(self) -> EvaluationLog:
        """The log of test-set evaluations."""
        return EvaluationLog(Path(self.results), locate(self.dataset).name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a side trained, and its test accuracies."""

    test_accuracies: tuple[float, ...]  # one per final model, fractions in [0, 1]
    search_epochs: int  # trained in the search
    final_epochs: int  # trained after it, by all final models
    search_precision: Precision
    final_precision: Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of ROUNDS: a finished side."""

    comparison: str
    side: Side
    round: int
    dataset: str
    preset: Preset
    plan: PresetPlan
    environment: Environment
    seconds: float  # wall clock of the whole process
    result: Result

    @property
    def accuracy(self) -> float:
        """Mean test accuracy of the final models, in [0, 1]."""
        return fmean(self.result.test_accuracies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One line of TRAININGS: the winner of a published run, trained again."""

    run: str  # run id
    number: int  # of the seed, from 0
    spec: TrialSpec
    environment: Environment
    epoch_seconds: tuple[float, ...]  # wall clock, validation included; the first one includes tracing
    validation_accuracy: tuple[float, ...]  # after each epoch, fraction in [0, 1]


# Statistics


def pairs(measures: Sequence[Measure], comparison: str) -> list[tuple[Measure, Measure]]:
    """Keras Tuner and the suite in each complete round, in order."""
    found = {(each.round, each.side): each for each in measures if each.comparison == comparison}
    rounds = sorted({number for number, _ in found})
    return [
        (found[number, "Keras Tuner"], found[number, "suite"])
        for number in rounds
        if all((number, side) in found for side in SIDES)
    ]


def seconds_to(training: Training, threshold: float) -> float:
    """Seconds from the first step to the end of the first epoch with this validation accuracy; infinite if none has."""
    for seconds, accuracy in zip(accumulate(training.epoch_seconds), training.validation_accuracy, strict=True):
        if round(accuracy, 6) >= threshold:  # recorded from float32, in which 0.88 is less than 0.88
            return seconds
    return inf


# The sides


def measure(job: Job) -> Measure:
    """Run a side in its own process."""
    result, seconds = _suite(job) if job.side == "suite" else run_child(__file__, job, Result)
    return Measure(
        comparison=job.comparison,
        side=job.side,
        round=job.round,
        dataset=job.dataset,
        preset=job.preset,
        plan=job.plan,
        environment=environment(),
        seconds=seconds,
        result=result,
    )


def _suite(job: Job) -> tuple[Result, float]:
    """What `bench run` trained, and the seconds of the whole process."""
    options = ("--family", job.family, "--dataset", job.dataset, "--preset", job.preset, "--seed", str(job.seed))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench", "run", *options, "--results", folder]
        seconds = run_timed([*command, *COMPARISONS[job.comparison].arguments])
        return _suite_result(job, Path(folder)), seconds


def _suite_result(job: Job, folder: Path) -> Result:
    from bench.report.runs import load

    (run,) = load(folder).runs
    record = run.record
    if record.search is None or not isinstance(record.spec, SearchSpec):
        raise TypeError(f"{record.run_id} is no search")
    job.log.append(job.name)  # the log in the temporary folder is lost
    return Result(
        test_accuracies=tuple(map(float, run.scores.correct.mean(axis=1))),
        search_epochs=record.search.trained_epochs,
        final_epochs=sum(refit.epochs for refit in record.refits),
        search_precision=record.spec.precision,
        final_precision=record.precision_refit,
    )


def _keras_tuner(job: Job) -> Result:
    """Run a search by stock Keras Tuner in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return _tutorial(job, folder) if job.comparison == "tutorial" else _stock(job, folder)


def _tutorial(job: Job, folder: str) -> Result:
    """The search of Keras Tuner's introduction with its settings, in our own words.

    Source: https://www.tensorflow.org/tutorials/keras/keras_tuner
    """
    import keras
    import numpy as np

    data = load_development(locate(job.dataset))
    images, labels = _scaled(data), data.labels
    classes = len(data.class_names)

    def build(hp: Any) -> keras.Model:
        model = keras.Sequential([keras.Input(data.image_shape), keras.layers.Flatten()])
        model.add(keras.layers.Dense(hp.Int("units", min_value=32, max_value=512, step=32), activation="relu"))
        model.add(keras.layers.Dense(classes))
        model.compile(
            optimizer=keras.optimizers.Adam(hp.Choice("learning_rate", [1e-2, 1e-3, 1e-4])),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    keras.utils.set_random_seed(derive_seed(job.seed, "tutorial"))
    tuner = _hyperband(build, job, folder, max_epochs=10, factor=3)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
    tuner.search(images, labels, epochs=TUTORIAL_EPOCHS, validation_split=0.2, callbacks=[stop], verbose=0)
    (best,) = tuner.get_best_hyperparameters(num_trials=1)
    history = build(best).fit(images, labels, epochs=TUTORIAL_EPOCHS, validation_split=0.2, verbose=0).history
    epochs = int(np.argmax(history["val_accuracy"])) + 1
    model = build(best)
    model.fit(images, labels, epochs=epochs, validation_split=0.2, verbose=0)
    test = _test_set(job)
    return _result([_accuracy(model, _scaled(test), test)], tuner.trained_epochs, TUTORIAL_EPOCHS + epochs)


def _stock(job: Job, folder: str) -> Result:
    """A search of the suite's space as a user would write it, and as many models of its winner as the suite trains."""
    import keras

    from bench.tuning import tuners
    from search_spaces._recipe import BATCH_SIZE

    plan, family = job.plan, search_spaces.load(job.family)
    data = load_development(locate(job.dataset))
    train, validation = split(data)

    def model_of(images: int) -> Any:
        """The family, with the learning-rate schedule of the suite's full length."""
        steps = ceil(images / BATCH_SIZE) * plan.epochs
        return family(data.image_shape, len(data.class_names), steps, plan.multiply_adds)

    searched = model_of(len(train))
    # The same brackets as the suite, and thus the same number of epochs.
    oracle: Any = tuners.load("hyperband").oracle(_spec(job), searched.space())
    tuner = _hyperband(
        searched,
        job,
        folder,
        max_epochs=plan.epochs,
        factor=oracle.factor,
        hyperband_iterations=oracle.hyperband_iterations,
    )
    tuner.search(
        data.images[train],
        data.labels[train],
        batch_size=BATCH_SIZE,
        validation_data=(data.images[validation], data.labels[validation]),
        verbose=0,
    )
    (best,) = tuner.get_best_hyperparameters(num_trials=1)
    models = []
    for number in range(plan.refit_seeds):
        keras.utils.set_random_seed(derive_seed(job.seed, "refit", number))
        model = model_of(len(data)).build(best)
        model.fit(data.images, data.labels, batch_size=BATCH_SIZE, epochs=plan.epochs, verbose=0)
        models.append(model)
    test = _test_set(job)
    accuracies = [_accuracy(model, test.images, test) for model in models]
    return _result(accuracies, tuner.trained_epochs, plan.refit_seeds * plan.epochs)


def _spec(job: Job) -> SearchSpec:
    return SearchSpec(
        dataset=locate(job.dataset).name,
        family=job.family,
        source=search_spaces.source_digest(job.family),
        tuner="hyperband",
        budget=job.plan.budget,
        seed=job.seed,
        refit_seeds=job.plan.refit_seeds,
        precision="float32",
    )


def _hyperband(model: Any, job: Job, folder: str, **options: Any) -> Any:
    """Stock `keras_tuner.Hyperband`, which counts its epochs."""
    import keras_tuner

    class Counting(keras_tuner.Hyperband):  # type: ignore[misc]
        trained_epochs = 0

        def on_epoch_end(self, *arguments: Any, **options: Any) -> None:
            super().on_epoch_end(*arguments, **options)
            self.trained_epochs += 1

    seed = derive_seed(job.seed, "oracle")  # as in the suite, so that both sides draw the same candidates
    return Counting(model, objective="val_accuracy", seed=seed, directory=folder, **options)


def _result(accuracies: Sequence[float], search_epochs: int, final_epochs: int) -> Result:
    return Result(
        test_accuracies=tuple(accuracies),
        search_epochs=search_epochs,
        final_epochs=final_epochs,
        search_precision="float32",
        final_precision="float32",
    )


def _test_set(job: Job) -> "Dataset":
    return HeldOutTestSet(locate(job.dataset), job.name, job.log).open()


def _scaled(data: "Dataset") -> "np.ndarray[Any, Any]":
    return data.images.astype("float32") / 255.0


def _accuracy(model: Any, images: Any, test: "Dataset") -> float:
    return float(model.evaluate(images, test.labels, verbose=0, return_dict=True)["accuracy"])


# All rounds


def _measure_missing(arguments: argparse.Namespace) -> None:
    file = arguments.results / ROUNDS
    measures = read_lines(Measure, file)
    missing = [job for job in _jobs(arguments) if not _is_measured(job, measures, file)]
    if missing:
        preload_libraries()
    for job in missing:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {job.name}\n")
        append_line(file, encode(measure(job), file))


def _jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    """All sides of all rounds; the order within a round alternates."""
    from bench.execution.plans import choose_plan

    for number, name in product(range(1, arguments.rounds + 1), arguments.comparisons):
        family = COMPARISONS[name].family
        for side in SIDES if number % 2 else reversed(SIDES):
            yield Job(
                comparison=name,
                side=side,
                round=number,
                dataset=arguments.dataset,
                family=family,
                preset=arguments.preset,
                plan=choose_plan(arguments.preset, search_spaces.locate(family), locate(arguments.dataset)),
                results=str(arguments.results.resolve()),
            )


def _is_measured(job: Job, measures: Sequence[Measure], file: Path) -> bool:
    """Whether a side has been measured.

    Raises:
        SystemExit: a side of the same comparison was measured with other settings, or on another machine.
    """
    here = (job.dataset, job.preset, job.plan, replace(environment(), git_commit=None))
    for each in measures:
        there = (each.dataset, each.preset, each.plan, replace(each.environment, git_commit=None))
        if each.comparison == job.comparison and there != here:
            raise SystemExit(
                f"{file}: {each.comparison} was measured with {there}, here it is {here}: move the file away, or "
                "choose another folder with --results"
            )
    return any((job.comparison, job.side, job.round) == (each.comparison, each.side, each.round) for each in measures)


# Trainings of published winners


def _train_missing(arguments: argparse.Namespace) -> None:
    from bench.report.runs import find_run, load

    file = arguments.results / TRAININGS
    trained = {(training.run, training.number) for training in read_lines(Training, file)}
    published = load(arguments.published)
    for name in arguments.runs:
        record = find_run(published, name).record
        missing = [number for number in range(arguments.seeds) if (record.run_id, number) not in trained]
        if missing:
            for training in _train(record, missing, locate(record.dataset.name)):
                append_line(file, encode(training, file))


def _train(record: Any, numbers: Sequence[int], location: DatasetLocation) -> Iterator[Training]:
    """Train the winner of a run with each of the seeds, one after the other in one worker process."""
    from bench.tuning.trials import trial_spec
    from bench.workers import tasks as worker
    from bench.workers.executor import EpochCompleted, Executor, TaskCompleted, TaskFailed
    from bench.workers.local import LocalPool

    spec = trial_spec(record.spec, record.search.winning_trial.values)
    specs = {str(number): replace(spec, seed=derive_seed(0, "time to accuracy", number)) for number in numbers}
    tasks = [(number, worker.train, spec, None, location, None) for number, spec in specs.items()]
    with closing(LocalPool(1, worker.prepare_worker)) as pool:
        executor = Executor(pool)
        while not executor.idle():  # the worker is starting
            executor.next_event(1)
        seconds: list[float] = []
        for event in run_tasks(executor, tasks):
            match event:
                case TaskFailed():
                    raise SystemExit(f"{record.run_id}, seed {event.key}: {event.reason}")
                case EpochCompleted():
                    seconds.append(event.seconds)
                case TaskCompleted():
                    sys.stderr.write(f"{record.run_id}, seed {event.key}: {sum(seconds):.1f} s\n")
                    yield Training(
                        run=record.run_id,
                        number=int(event.key),
                        spec=specs[event.key],
                        environment=environment(),
                        epoch_seconds=tuple(seconds),
                        validation_accuracy=event.value.curve.validation_accuracy,
                    )
                    seconds.clear()


# The page

EXPLANATION = """\
- Seconds are those of the whole process, from its start to its end, with imports, data loading and everything that is
  trained. The suite runs `python -m bench run` in an empty results folder; its time includes the test-set evaluation
  and the pages.
- The speedup is the seconds of Keras Tuner divided by those of the suite in the same round, and is compared with the
  goal by its median. The accuracy claim holds if the mean test accuracy of the suite's refits over all rounds is at
  least that of Keras Tuner's final models; in parentheses, the 95% confidence interval of the difference over rounds (t
  distribution). Every round is an independent search with another seed, the same for both sides. The evaluations on the
  test set are logged next to the measurements, and are not among those that the leaderboard counts.
- tutorial: the settings of Keras Tuner's introduction, which are `Hyperband` with 10 epochs and factor 3 over one dense
  layer (32 to 512 units) and three learning rates, a fifth of the images for validation, early stopping, batches of 32
  images, the winner trained for 50 epochs, then retrained for its best number of epochs; one final model.
- dense, cnn: `keras_tuner.Hyperband` with the same space, brackets, epochs, batch size, validation images and recipe as
  the suite, called with NumPy arrays; its winner is trained on all development images with as many seeds as the suite's
  refits. Keras Tuner restores the weights of the best epoch of a promoted trial but starts its learning-rate schedule
  again, and takes the best epoch of a trial as its score.
- Keras Tuner runs in float32 with TensorFlow's default number of threads and `verbose=0`. The suite runs one
  single-threaded process per core."""


def write_page(results: Path) -> None:
    """Write page and plot from the files in `results`."""
    from bench.report.figures.picture import picture

    measures = read_lines(Measure, results / ROUNDS)
    trainings = read_lines(Training, results / TRAININGS)
    if not measures and not trainings:
        raise SystemExit(f"{results} has no measurements: omit --page-only")
    image = picture(NAME, [measures, trainings], lambda: _draw(measures, trainings))
    write_atomic(results.with_suffix(".png"), image.png())
    publish(results.with_suffix(".md"), _page(results.name, measures, trainings))


def _page(name: str, measures: Sequence[Measure], trainings: Sequence[Training]) -> str:
    figures = ["Time of each side in each round"] if measures else []
    figures += ["Validation accuracy of the published winners after each epoch, one line per seed"] if trainings else []
    summary = [row for comparison in COMPARISONS for row in _summary(measures, comparison)]
    parts = ["# Time to accuracy", *_machines([*measures, *trainings])]
    if summary:
        rows = [row for comparison in COMPARISONS for row in _rounds(measures, comparison)]
        parts += ["## Presets and stock Keras Tuner", table(summary, keep=["comparison"]), *verdicts(_goals(measures))]
        parts += ["## Rounds", table(rows, keep=["comparison", "round", "side"]), EXPLANATION]
    if trainings:
        thresholds = _thresholds(trainings)
        parts += [
            "## Seconds to a validation accuracy",
            table(thresholds, keep=["family", "validation accuracy (%)"]),
            *_runs(trainings),
        ]
    parts += [
        f"![{' and '.join(figures)}]({name}.png)",
        f"{'. '.join(figures)}.",
        f"Generated by `python tests/benchmarks/{NAME}.py` from the files in [{name}]({name}).",
    ]
    return page(*parts)


def _machines(lines: Sequence[Measure | Training]) -> Iterator[str]:
    """Where the lines of the files were measured."""
    from bench.report.tables.provenance import short_commit

    commits: dict[Environment, dict[str, None]] = {}
    for line in lines:
        machine = replace(line.environment, git_commit=None)
        commits.setdefault(machine, {})[short_commit(line.environment.git_commit)] = None
    for machine, of_machine in commits.items():
        yield (
            f"{machine.cpu}, {machine.cores} cores, {machine.platform}, "
            f"{library_versions(machine, 'Python', 'TensorFlow', 'oneDNN', 'Keras', 'Keras Tuner')}, "
            f"commit {', '.join(of_machine)}."
        )


def _summary(measures: Sequence[Measure], comparison: str) -> Iterator[dict[str, str]]:
    if not (complete := pairs(measures, comparison)):
        return
    goal = COMPARISONS[comparison].goal
    ratios = [other.seconds / suite.seconds for other, suite in complete]
    other, suite = (fmean(pair[side].accuracy for pair in complete) for side in (0, 1))
    yield {
        "comparison": comparison,
        "suite": f"preset {complete[0][1].preset}, {complete[0][1].dataset}",
        "rounds": str(len(complete)),
        "speedup, median": f"{median(ratios):.2f}",
        "lowest": f"{min(ratios):.2f}",
        "highest": f"{max(ratios):.2f}",
        "goal": f"{goal:g}",
        "goal met": "yes" if median(ratios) >= goal else "no",
        "test accuracy of the suite (%)": f"{100 * suite:.2f} ({_models(complete, 1)})",
        "of Keras Tuner (%)": f"{100 * other:.2f} ({_models(complete, 0)})",
        "difference (pp)": _difference_text([own.accuracy - its.accuracy for its, own in complete]),
        "accuracy claim holds": "yes" if suite >= other else "no",
    }


def _goals(measures: Sequence[Measure]) -> Iterator[tuple[str, bool]]:
    """Every goal with what was measured, and whether it is met, which needs the accuracy as well."""
    for comparison in COMPARISONS:
        for row in _summary(measures, comparison):
            accurate = row["accuracy claim holds"] == "yes"
            limits = f"{row['lowest']} to {row['highest']} in {row['rounds']} of {ROUNDS_PLANNED} rounds"
            text = f"{comparison}, median speedup {row['speedup, median']} ({limits}), goal {row['goal']}"
            yield text + ("" if accurate else ", but a lower mean test accuracy"), accurate and row["goal met"] == "yes"


def _difference_text(differences: Sequence[float]) -> str:
    """The mean difference of the rounds in percentage points, with its 95% confidence interval if there are several."""
    from scipy import stats

    mean, n = fmean(differences), len(differences)
    if n < 2:
        return f"{100 * mean:+.2f}"
    half_width = stats.t.ppf(0.975, n - 1) * stdev(differences) / n**0.5
    return f"{100 * mean:+.2f} ({100 * (mean - half_width):+.2f} to {100 * (mean + half_width):+.2f})"


def _models(complete: Sequence[tuple[Measure, Measure]], side: int) -> str:
    return f"n = {sum(len(pair[side].result.test_accuracies) for pair in complete)}"


def _rounds(measures: Sequence[Measure], comparison: str) -> Iterator[dict[str, str]]:
    for other, suite in pairs(measures, comparison):
        for each in (other, suite):
            result = each.result
            yield {
                "comparison": comparison,
                "round": str(each.round),
                "side": each.side,
                "seconds": f"{each.seconds:.1f}",
                "speedup": f"{other.seconds / each.seconds:.2f}",
                "test accuracy (%)": f"{100 * each.accuracy:.2f}",
                "final models": str(len(result.test_accuracies)),
                "epochs, search": str(result.search_epochs),
                "epochs, final models": str(result.final_epochs),
                "precision, search": result.search_precision,
                "precision, final models": result.final_precision,
            }


def _thresholds(trainings: Sequence[Training]) -> Iterator[dict[str, str]]:
    for run in {training.run: None for training in trainings}:
        mine = [training for training in trainings if training.run == run]
        for threshold in THRESHOLDS.get(mine[0].spec.model, ()):
            seconds = [seconds_to(training, threshold) for training in mine]
            yield {
                "family": f"{mine[0].spec.model}, {mine[0].spec.dataset}",
                "validation accuracy (%)": f"{100 * threshold:.0f}",
                "reached": f"{sum(each < inf for each in seconds)} of {len(mine)}",
                "seconds, median": _seconds(median(seconds)),
                "lowest": _seconds(min(seconds)),
                "highest": _seconds(max(seconds)),
            }


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds < inf else "not reached"


def _runs(trainings: Sequence[Training]) -> Iterator[str]:
    for run, spec in {training.run: training.spec for training in trainings}.items():
        values = ", ".join(f"{name} {value}" for name, value in spec.values.items())
        yield f"{spec.model}: the winner of {run} in {spec.precision}, {spec.epochs} epochs ({values})."
    yield (
        "Each was trained with the suite's own code on the training images of split 0 in one single-threaded worker "
        "process, once per seed. Seconds are wall clock from the first step to the end of the first epoch with this "
        "validation accuracy, earlier validations included; a seed that does not reach it counts as infinitely long in "
        "the median. The learning-rate schedule spans all epochs of the plan, so that most of the accuracy is gained "
        "in the last epochs, and a shorter schedule would reach the lower accuracies sooner."
    )


def _draw(measures: Sequence[Measure], trainings: Sequence[Training]) -> "Figure":
    from matplotlib.figure import Figure

    panels: list[Any] = []
    if measures:
        panels.append(partial(_draw_rounds, measures))
    if trainings:
        panels.append(partial(_draw_trainings, trainings))
    figure = Figure(figsize=(4.5 * len(panels), 3.6), layout="constrained")
    for draw, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        draw(axes)
    return figure


def _draw_rounds(measures: Sequence[Measure], axes: "Axes") -> None:
    from bench.report.figures.model import few_logarithmic_ticks, plain_axes

    shown = [name for name in COMPARISONS if any(each.comparison == name for each in measures)]
    for side, color, offset in zip(SIDES, COLORS, (-0.1, 0.1), strict=False):
        mine = [each for each in measures if each.side == side]
        positions = [shown.index(each.comparison) + offset for each in mine]
        axes.plot(positions, [each.seconds for each in mine], "o", color=color, markersize=4, label=side)
    axes.set_xticks(range(len(shown)), shown)
    axes.set(
        title="Time to a winner", ylabel="time of the whole process (s)", yscale="log", xlim=(-0.5, len(shown) - 0.5)
    )
    few_logarithmic_ticks(axes.yaxis)
    plain_axes(axes)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False)


def _draw_trainings(trainings: Sequence[Training], axes: "Axes") -> None:
    from bench.report.figures.model import plain_axes
    from bench.report.figures.table import FAMILY_COLORS

    colors = dict(zip(sorted({training.spec.model for training in trainings}), FAMILY_COLORS, strict=False))
    for training in trainings:
        axes.plot(
            list(accumulate(training.epoch_seconds)),
            [100 * accuracy for accuracy in training.validation_accuracy],
            color=colors[training.spec.model],
            linewidth=1,
            label=training.spec.model if training.number == 0 else None,
        )
    lowest = min((min(THRESHOLDS[each.spec.model]) for each in trainings if each.spec.model in THRESHOLDS), default=0.9)
    axes.set(
        title="Validation accuracy by time",
        xlabel="time since the first step (s)",
        ylabel="validation accuracy (%)",
        ylim=(100 * lowest - 4, None),
    )
    plain_axes(axes)
    axes.legend(frameon=False)


def main(arguments: argparse.Namespace) -> None:
    """Measure what is missing, then write page and plot."""
    if not arguments.page_only:
        _measure_missing(arguments)
        _train_missing(arguments)
    write_page(arguments.results)


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("--comparisons", nargs="*", default=list(COMPARISONS), choices=list(COMPARISONS))
    parser.add_argument("--rounds", type=int, default=ROUNDS_PLANNED)
    parser.add_argument("--preset", default="quick", choices=PRESETS, help="of the suite")
    parser.add_argument("--dataset", default="fashion_mnist")
    parser.add_argument("--runs", nargs="*", default=["dense", "cnn"], help="published runs whose winners are trained")
    parser.add_argument("--published", type=Path, default=Path("results"), help="results folder of these runs")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each winner")
    parser.add_argument("--results", type=Path, default=Path("results/benchmarks") / NAME, help="folder of the files")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # of the child processes
    given = parser.parse_args()
    execute_job(given.job, Job, _keras_tuner) if given.job else main(given)
