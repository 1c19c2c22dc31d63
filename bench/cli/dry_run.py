"""bench run --dry-run: the plan and the expected cost of searches, without training them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from bench.evaluation.text import counted, duration
from bench.signals import exit_code, handle_signals

if TYPE_CHECKING:
    from bench.data.dataset import Notify
    from bench.execution.forecast import Forecast
    from bench.execution.options import Options
    from bench.execution.request import SearchRequest
    from bench.records.spec import SearchSpec
    from bench.records.store import RunFolder


def print_plans(request: "SearchRequest", options: "Options") -> None:
    """Print the budget of each search that is not complete; needs neither TensorFlow nor the dataset."""
    from bench.execution.plans import fixed_plan

    fixed = [
        family
        for family in request.families
        if fixed_plan(request.preset, family, request.dataset.name, request.trials, request.epochs) is not None
    ]
    for spec, folder in _unfinished(replace(request, families=fixed).specs(), options):
        typer.echo(f"{_title(spec, options, folder)}\n{_budget_text(spec)}")
    for family in request.families:
        if family not in fixed:
            typer.echo(
                f"{family.name} on {request.dataset.name}, preset {request.preset}\n"
                "  trials and epochs depend on the cost of its models: omit --no-estimate to compute them"
            )


def print_forecast(specs: "Sequence[SearchSpec]", options: "Options", notify: "Notify") -> None:
    """Print trials, epochs, time and disk space of each search that is not complete."""
    from bench.records.files import check_writable

    check_writable(options.results)
    if planned := _unfinished(specs, options):
        try:
            with handle_signals():
                _print_estimates(planned, options, notify)
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(exit_code(interrupt)) from None


def _unfinished(specs: "Sequence[SearchSpec]", options: "Options") -> "list[tuple[SearchSpec, RunFolder]]":
    folders = ((spec, _unfinished_folder(spec, options)) for spec in specs)
    return [(spec, folder) for spec, folder in folders if folder is not None]


def _unfinished_folder(spec: "SearchSpec", options: "Options") -> "RunFolder | None":
    """The folder of a search; None if it is complete."""
    from bench.execution.folders import assign

    folder = assign(options.results, spec, again=options.again).folder
    if not folder.finished:
        return folder
    folder.read_predictions(folder.read_record())  # a damaged run is not complete
    typer.echo(f"{spec.family} on {spec.dataset}: already complete in {folder.path}, nothing to train")
    return None


def _print_estimates(planned: "Sequence[tuple[SearchSpec, RunFolder]]", options: "Options", notify: "Notify") -> None:
    from bench.data.development import facts, load_development
    from bench.execution.events import Event, Message
    from bench.workers.tasks import import_libraries

    import_libraries()
    from bench.execution.forecast import forecast
    from bench.execution.models import family_space

    def report(event: Event) -> None:
        if isinstance(event, Message):
            notify(event.text)

    data = load_development(options.dataset, notify)
    dataset = facts(options.dataset, data)
    for spec, folder in planned:
        notify(f"Timing a few training steps of {spec.family} candidates")
        space = family_space(spec, dataset, options.family(spec))
        expected = forecast(spec, space.hyperparameters, dataset, options, report)
        typer.echo(f"{_title(spec, options, folder)}\n{_forecast_text(spec, expected)}")


def _title(spec: "SearchSpec", options: "Options", folder: "RunFolder") -> str:
    workers = counted(options.workers, "worker")
    return f"{spec.family} on {spec.dataset}, {spec.tuner}, {spec.precision}, {workers}, in {folder.path}"


def _budget_text(spec: "SearchSpec") -> str:
    budget = spec.budget
    return (
        f"  search: up to {counted(budget.total_epochs, 'epoch')}, equivalent to {counted(budget.trials, 'trial')} of "
        f"{counted(budget.epochs, 'epoch')}\n"
        f"{_refits_text(spec)}"
    )


def _refits_text(spec: "SearchSpec") -> str:
    refits = f"  refits: {counted(spec.refit_seeds, 'seed')}, {counted(spec.refit_epochs, 'epoch')} each"
    if spec.time_limit is None:
        return refits
    return f"{refits}\n  time limit: {duration(spec.time_limit)}, which may end the search earlier"


def _forecast_text(spec: "SearchSpec", expected: "Forecast") -> str:
    plan = expected.plan
    return (
        f"  search: {counted(plan.candidates, 'candidate')} in {counted(plan.trials, 'trial')}, "
        f"{counted(plan.epochs, 'epoch')}\n"
        f"{_refits_text(spec)}\n"
        f"  about {expected.minutes:.1f} minutes and {expected.megabytes:.1f} MB on disk, "
        f"estimated from a few steps of {counted(expected.candidates, 'candidate')} on this machine"
    )
