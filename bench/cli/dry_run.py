"""bench run --dry-run: the expected cost of searches, without training them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from bench.signals import handle_sigterm

if TYPE_CHECKING:
    from bench.execution.options import Options
    from bench.records.spec import SearchSpec


def print_forecast(specs: "Sequence[SearchSpec]", options: "Options") -> None:
    """Print trials, epochs, time and disk space of each search that is not complete."""
    from bench.data.development import facts, load_development
    from bench.execution.events import Event, Message
    from bench.execution.folders import assign
    from bench.records.files import check_writable
    from bench.report.text.numbers import counted
    from bench.workers.tasks import import_libraries

    check_writable(options.results)
    with handle_sigterm():
        import_libraries()
        from bench.execution.forecast import forecast
        from bench.execution.models import family_space

        def report(event: Event) -> None:
            if isinstance(event, Message):
                typer.echo(event.text, err=True)

        data = load_development(options.dataset, lambda text: typer.echo(text, err=True))
        dataset = facts(options.dataset, data)
        for spec in specs:
            folder = assign(options.results, spec, again=options.again).folder
            if folder.finished:
                folder.read_predictions(folder.read_record())  # a damaged run is not complete
                typer.echo(f"{spec.family} on {spec.dataset}: already complete in {folder.path}, nothing to train")
                continue
            typer.echo(f"Timing a few training steps of {spec.family} candidates", err=True)
            space = family_space(spec, dataset, options.family(spec))
            expected = forecast(spec, space.hyperparameters, dataset, options, report)
            plan = expected.plan
            typer.echo(
                f"{spec.family} on {spec.dataset}, {spec.tuner}, {spec.precision}, "
                f"{counted(options.workers, 'worker')}, in {folder.path}\n"
                f"  search: {plan.candidates} candidates in {plan.tasks} trials, {plan.epochs} epochs\n"
                f"  refits: {counted(spec.refit_seeds, 'seed')}, {spec.refit_epochs} epochs each\n"
                f"  about {expected.minutes:.1f} minutes and {expected.megabytes:.1f} MB on disk, "
                f"estimated from a few steps of {expected.candidates} candidates on this machine"
            )
