"""A reference's run: trained by its own recipe under several seeds, then judged."""

from bench.baselines.catalog import CLASSIFIERS, describe
from bench.execution.active_run import ActiveRun, Found
from bench.execution.options import Options
from bench.execution.stages import ClassifierStage, EvaluationStage, RefitStage
from bench.records.record import RefitRecord


class ReferenceRun(ActiveRun):
    """A model that is given."""

    def start(self, options: Options, began: str) -> None:
        """Begin the session at `began` (ISO 8601)."""
        self.begin(options, began)
        if self.spec.family in CLASSIFIERS:
            self.stage = ClassifierStage(self.spec, self.folder, options)
        else:
            self.stage = RefitStage(self.spec, {}, self.folder, options)
        self._first = self.stage

    def advance(self) -> None:
        """Go to the next stage where this one is done."""
        if isinstance(self.stage, RefitStage) and self.stage.done:
            self.stage = EvaluationStage(self.spec, self.folder, self._options)

    def found(self) -> Found:
        """Only what it is."""
        return Found(reference=describe(self.spec.family))

    @property
    def refitted(self) -> tuple[RefitRecord, ...]:
        """What was trained by now, by number."""
        return self._first.refits
