"""A reference's run: trained by its own recipe under several seeds, then judged."""

from bench.begun_run import BegunRun, Found
from bench.options import Options
from bench.record import RefitRecord
from bench.references import FLOORS, describe
from bench.stages import FloorStage, JudgeStage, RefitStage


class ReferenceRun(BegunRun):
    """A model that is given."""

    def start(self, options: Options, began: str) -> None:
        """Begin the session at `began` (ISO 8601)."""
        self.begin(options, began)
        if self.spec.family in FLOORS:
            self.stage = FloorStage(self.spec, self.folder, options)
        else:
            self.stage = RefitStage(self.spec, {}, self.folder, options)
        self._first = self.stage

    def advance(self) -> None:
        """Go to the next stage where this one is done."""
        if isinstance(self.stage, RefitStage) and self.stage.done:
            self.stage = JudgeStage(self.spec, self.folder, self._options)

    def found(self) -> Found:
        """Only what it is."""
        return Found(reference=describe(self.spec.family))

    @property
    def refitted(self) -> tuple[RefitRecord, ...]:
        """What was trained by now, by number."""
        return self._first.refits
