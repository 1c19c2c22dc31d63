"""Refits of one model and their evaluation, as a job of the polling loop."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence

from bench.baselines.catalog import CLASSIFIERS
from bench.data.held_out import HeldOutTestSet
from bench.execution.eta import EVALUATION_SECONDS, Pace
from bench.execution.events import Progress
from bench.execution.options import Options
from bench.execution.scheduling import Job, RunningTask, Task
from bench.execution.stages import CODE, ClassifierStage, EvaluationStage, RefitStage, Stage
from bench.records.dataset import DatasetFacts
from bench.records.evaluation_log import EvaluationLog
from bench.records.predictions import Predictions
from bench.records.record import Latency, RefitRecord
from bench.records.spec import RunSpec, SearchSpec, Value
from bench.records.store import RunFolder


class RefitJob(Job):
    """Trains a model with every refit seed, then evaluates all of them."""

    stage: Stage

    def __init__(
        self,
        spec: RunSpec,
        folder: RunFolder,
        options: Options,
        pace: Pace,
        run_id: str,
        *,
        facts: DatasetFacts | None = None,
    ) -> None:
        """Keep models in `folder`, and log test-set evaluations as those of the run `run_id`.

        Args:
            spec: the run's spec.
            folder: for the models.
            options: of the run.
            pace: estimates the remaining time.
            run_id: as logged.
            facts: of the dataset, for the plain Keras code; None writes none.
        """
        self.key = run_id
        self.title = spec.model
        self.folder = folder
        self.spec = spec
        self.pace = pace
        self._options = options
        self._facts = facts
        self._training: RefitStage | ClassifierStage | None = None

    @abstractmethod
    def finish(self, predictions: Predictions, latency: Latency) -> None:
        """End the job with the result of the evaluation."""

    def start_evaluation(self) -> None:
        """Enter the evaluation stage; the models are in the folder."""
        family = self._options.family(self.spec) if isinstance(self.spec, SearchSpec) else None
        self.stage = EvaluationStage(self.spec, self.folder, self._open_test_set, family)

    def start_refits(self, values: Mapping[str, Value]) -> None:
        """Enter the refit stage; `values` are the winner's hyperparameters, empty for a reference model."""
        dataset = self._options.dataset
        if self.spec.model in CLASSIFIERS:
            test_set = self._open_test_set
            self._training = ClassifierStage(self.spec, self.folder, test_set, dataset, facts=self._facts)
        else:
            file = self._options.family_file(self.spec)
            self._training = RefitStage(
                self.spec, values, self.folder, dataset, file, facts=self._facts, pace=self.pace
            )
        self.stage = self._training

    @property
    def refits(self) -> tuple[RefitRecord, ...]:
        """Completed refits, by number."""
        return () if self._training is None else self._training.refits

    def next_task(self, in_flight: Collection[str]) -> Task | None:
        """The next task of the current stage."""
        return self.stage.next_task(in_flight)

    def advance(self, in_flight: Collection[str]) -> None:  # noqa: ARG002 - for jobs that need it
        """Enter the next stage if the current one is done."""
        if isinstance(self.stage, RefitStage) and self.stage.done:
            self.start_evaluation()
        if isinstance(self.stage, EvaluationStage) and self.stage.result is not None:
            self.finish(*self.stage.result)

    def record_epoch(self, seconds: float, *, first: bool) -> None:
        """Measure an epoch of a refit."""
        self.pace.record_refit_epoch(seconds, first=first)

    def progress(self, running: Sequence[RunningTask]) -> Progress:
        """Epochs of the refits and remaining time."""
        refits, completed = self.spec.refit_seeds, len(self.refits)
        total = refits * self.spec.refit_epochs
        epochs = completed * self.spec.refit_epochs + sum(task.epochs for task in running)
        training = sum(task.task.name != CODE for task in running)
        seconds_left = self.pace.refit_seconds_left(refits - completed, training, total - epochs)
        if self.stage.name == "evaluation":
            # The same task fits a classifier, which may take minutes.
            seconds_left = None if isinstance(self.stage, ClassifierStage) else EVALUATION_SECONDS
        seed = f" seed {self.spec.seed}" if self.spec.seed else ""
        return Progress(
            key=self.key,
            run=f"{self.spec.dataset} {self.spec.model}{seed}",
            stage=self.stage.name,
            epochs=epochs,
            epochs_total=total,
            seconds_left=seconds_left,
        )

    def _open_test_set(self) -> HeldOutTestSet:
        """The test set, for one evaluation attempt, which is logged first."""
        dataset = self._options.dataset
        return HeldOutTestSet(dataset, self.key, EvaluationLog(self._options.results, dataset.name))


class KeptEvaluation(RefitJob):
    """Refits whose evaluation is not written anywhere, but kept for the caller."""

    done = False
    predictions: Predictions
    latency: Latency

    def finish(self, predictions: Predictions, latency: Latency) -> None:
        """Keep the result."""
        self.predictions, self.latency, self.done = predictions, latency, True
