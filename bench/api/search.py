"""Search with a Keras Tuner tuner of the user's own."""

from typing import TYPE_CHECKING, Any

from bench.api.python_names import python_names
from bench.cli.progress import interruptible_display
from bench.compat.processes import without_main_module
from bench.records.choices import Precision
from bench.signals import defer_signals

if TYPE_CHECKING:
    from bench.own_tuner.result import SearchResult


def search(
    tuner: Any,
    *arguments: Any,
    workers: int | None = None,
    scheduler: str | None = None,
    time_limit: float | None = None,
    trial_timeout: float | None = None,
    max_pending: int | None = None,
    precision: Precision = "float32",
    seed: int | None = None,
    resume: bool = True,
    progress: bool = True,
    **named: Any,
) -> "SearchResult":
    """Search with a Keras Tuner tuner as `tuner.search(...)` does, but with trials in parallel, and resumable.

    Afterwards the tuner, its trials and its files are as `tuner.search` leaves them. A call that was interrupted
    resumes when it is repeated. The trials do not depend on the number of workers.

    Args:
        tuner: any tuner of Keras Tuner.
        arguments: of `model.fit`, as for `tuner.search`; in place of a tf.data.Dataset or a generator, a function
            without arguments that makes it.
        workers: number of worker processes; None for one per usable core.
        scheduler: address of a Dask cluster to train on.
        time_limit: seconds after which no trial is trained any longer; repeating the call continues.
        trial_timeout: seconds for a trial.
        max_pending: maximum number of trials without a result when the tuner proposes another one; None for 32, or 4 if
            proposals depend on results, as in Bayesian optimization or if the tuner overrides on_trial_end.
        precision: of the training: "float32" or "bfloat16".
        seed: of the training and of the tuner's proposals; None for the seed that the tuner was created with.
        resume: False to delete earlier trials of this project, and start again.
        progress: show the progress, in a notebook below the cell; verbose=0 hides it, too.
        named: arguments of `model.fit` with a name, such as validation_data, epochs and callbacks.

    Raises:
        BenchError: for a reason that the user can fix; the trials that have ended are kept.
        RuntimeError: more consecutive trials have failed than the tuner allows.
        keras_tuner.errors.FatalError: a trial raised it.
    """
    with defer_signals():
        from bench.own_tuner.options import Options
        from bench.workers.fork_server import fork_server

    options = Options(
        workers=workers,
        scheduler=scheduler,
        time_limit=time_limit,
        trial_timeout=trial_timeout,
        max_pending=max_pending,
        precision=precision,
        seed=seed,
        resume=resume,
    )
    quiet = not progress or named.get("verbose") == 0  # in Keras Tuner, verbose=0 hides the progress, too
    show = interruptible_display(quiet=quiet)
    with python_names(), without_main_module(), show as report, fork_server() as start_method:
        try:
            with defer_signals():  # while the fork server imports TensorFlow
                from bench.own_tuner.search import search as execute
            return execute(tuner, arguments, named, options, start_method=start_method, report=report)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note("Completed trials are saved: run the same call again to resume.")
            raise
