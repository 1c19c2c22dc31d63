"""The run of a reference model: trained with its own recipe and several seeds, then evaluated."""

from bench.baselines.catalog import CLASSIFIERS, describe
from bench.execution.active_run import ActiveRun, Session
from bench.execution.evaluation_stage import ClassifierStage
from bench.execution.refit_stage import RefitStage
from bench.records.record import ReferenceModel, RefitRecord
from bench.records.spec import ReferenceSpec
from bench.records.store import RunFolder


class ReferenceRun(ActiveRun):
    """A published tutorial or a scikit-learn classifier, without a search."""

    def __init__(self, spec: ReferenceSpec, folder: RunFolder, session: Session, published: RunFolder | None) -> None:
        """Start the run, or resume it from `folder`."""
        super().__init__(spec, folder, session, published)
        self.spec = spec
        self._start_session()
        dataset = session.options.dataset
        self._training: ClassifierStage | RefitStage
        if spec.model in CLASSIFIERS:
            self.stage = self._training = ClassifierStage(spec, folder, self._open_test_set, dataset)
        else:
            self.stage = self._training = RefitStage(spec, {}, folder, dataset)

    @property
    def introduction(self) -> str:
        """The number of models."""
        seeds = self.spec.refit_seeds
        return f"{self.spec.model}: {seeds} model{'s' if seeds > 1 else ''} trained by its own recipe"

    @property
    def refits(self) -> tuple[RefitRecord, ...]:
        """Completed refits, by number."""
        return self._training.refits

    def origin(self) -> ReferenceModel:
        """The recipe."""
        return describe(self.spec.model)
