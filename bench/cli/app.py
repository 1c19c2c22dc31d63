"""The command line: parse, call, print. What is heavy is imported inside the command that needs it."""

import contextlib
import difflib
import json
import sys
from collections.abc import Generator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import search_spaces
from bench.cli.data import data_app
from bench.cli.results import Results, results_app
from bench.cli.runs import runs_app
from bench.errors import BenchError, SearchError, SpecError
from bench.execution.options import Options
from bench.execution.resume import command, family_source, parse_duration
from bench.records.spec import DEFAULT_LOOKAHEAD, DEFAULT_REFIT_SEEDS, DEFAULT_TUNER, TUNERS, Budget, RunSpec
from bench.signals import defer_signals, exit_code, handle_sigterm

if TYPE_CHECKING:
    from bench.execution.events import Event, Finished

MAX_SEARCHES = 100

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Compare families of Keras models, found by Keras Tuner, honestly and fast.\n\n"
    "Exit codes: 0 done, 1 a check found differences, 2 bad input or a full disk, 130 and 143 interrupted.",
    epilog="\b\nExamples:\n  bench run --family cnn\n  bench leaderboard",
)
app.add_typer(results_app)
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")


def _tell_version(asked: bool) -> None:
    if asked:
        from bench.machine import installed_version

        typer.echo(installed_version("keras-family-bench"))
        raise typer.Exit


@app.callback()
def bench(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before a command; the help text stands above, where Typer looks for it."""


class PrecisionChoice(StrEnum):
    """What --precision takes."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


@app.command(
    epilog="\b\nExamples:\n"
    "  bench run --family cnn\n"
    "  bench run --family dense --family cnn --seeds 8\n"
    "  bench run --family cnn --dataset digits --tuner random --trials 8 --epochs 5"
)
def run(  # noqa: PLR0917 - one for each option
    family: Annotated[list[str], typer.Option(metavar="NAME", help="Family to search; may be given several times.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Dataset, see `bench list`.")] = "fashion_mnist",
    tuner: Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(TUNERS)}.")] = DEFAULT_TUNER,
    trials: Annotated[
        int | None,
        typer.Option(
            show_default="as suits the dataset",
            help="With --epochs the budget: the search trains as many epochs as that many trials of full length have.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(show_default="as suits the dataset", help="Epochs of a trial of full length.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the search and of everything in it.")] = 0,
    seeds: Annotated[int, typer.Option(help="Refits of the winner, each under its own seed.")] = DEFAULT_REFIT_SEEDS,
    searches: Annotated[
        int,
        typer.Option(help="Searches of each family, each under its own seed; 3 or more tell of families."),
    ] = 1,
    workers: Annotated[
        int | None, typer.Option(show_default="one for each usable core", help="Worker processes.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask cluster of your own, such as tcp://127.0.0.1:8786, to train on."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Longest time for each family, such as 90s, 10m or 1h30m: start-up, refits and judging included.",
        ),
    ] = None,
    trial_timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="A trial that takes longer is tried once more, then recorded as failed."),
    ] = None,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Of the search; auto is bfloat16 where the processor has it.")
    ] = PrecisionChoice.auto,
    lookahead: Annotated[int, typer.Option(help="Trials asked ahead of results; decides which trials there are.")] = (
        DEFAULT_LOOKAHEAD
    ),
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the dataset's files.")] = None,
    results: Results = Path("results"),
    again: Annotated[bool, typer.Option("--again", help="Repeat a run that is finished.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Notify what would be done, train nothing.")] = False,
) -> None:
    """Search families, refit and judge their winners, report.

    Judging is done once, on the sealed test part.

    The same command goes on where an interrupted run stopped, and prints the row of a finished one.
    """
    from bench.data.catalog import default_budget
    from bench.machine import supports_bfloat16, usable_cores

    for name in family:
        _known("family", name, search_spaces.names())
    if not 1 <= searches <= MAX_SEARCHES:
        raise SpecError(f"--searches must be a whole number from 1 to {MAX_SEARCHES}, got {searches}")
    _known("tuner", tuner, TUNERS)
    usual = default_budget(dataset)
    epochs_of_all = Budget(
        trials=usual.trials if trials is None else trials, epochs=usual.epochs if epochs is None else epochs
    )
    found = "bfloat16" if supports_bfloat16() else "float32"
    specs = [
        RunSpec(
            dataset=dataset,
            family=name,
            family_source=family_source(name),
            tuner=tuner,  # type: ignore[arg-type]
            budget=epochs_of_all,
            seed=seed + number,
            seeds=seeds,
            precision=found if precision is PrecisionChoice.auto else precision.value,  # type: ignore[arg-type]
            lookahead=lookahead,
            seconds=None if budget is None else parse_duration("--budget", budget),
        )
        for name in dict.fromkeys(family)
        for number in range(searches)
    ]
    options = Options(
        results=results,
        workers=usable_cores() if workers is None else workers,
        scheduler=scheduler,
        data_dir=data_dir,
        trial_timeout=None if trial_timeout is None else parse_duration("--trial-timeout", trial_timeout),
        again=again,
    )
    (_dry_run if dry_run else _run)(specs, options)


@app.command(
    epilog="\b\nExamples:\n"
    "  bench reproduce\n"
    "  bench reproduce tutorial-cnn --seeds 10\n"
    "  bench reproduce floor --dataset digits"
)
def reproduce(  # noqa: PLR0917 - one for each option
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="See `bench list`; tutorials, floor or all for several.", show_default="all"
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Dataset, see `bench list`.")] = "fashion_mnist",
    seed: Annotated[int, typer.Option(help="Seed that those of the trainings are derived from.")] = 0,
    seeds: Annotated[int, typer.Option(help="Trainings of each model; one of deterministic ones.")] = DEFAULT_REFIT_SEEDS,
    workers: Annotated[
        int | None, typer.Option(show_default="one for each usable core", help="Worker processes.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the dataset's files.")] = None,
    results: Results = Path("results"),
    again: Annotated[bool, typer.Option("--again", help="Repeat what is finished.")] = False,
) -> None:
    """Train models of published tutorials by their own recipes, and the floor of scikit-learn's classifiers.

    They stand in the leaderboard as what a search has to beat, and the tutorials in a page of their own beside the
    figures that were published.
    """
    from bench.baselines.catalog import reference_spec, select
    from bench.data.catalog import names as datasets
    from bench.machine import usable_cores

    _known("dataset", dataset, datasets())
    specs = [reference_spec(name, dataset, seed, seeds) for name in select(names or ["all"])]
    _run(
        specs,
        Options(
            results=results,
            workers=usable_cores() if workers is None else workers,
            data_dir=data_dir,
            again=again,
        ),
    )


def _known(kind: str, name: str, valid: tuple[str, ...]) -> None:
    if name not in valid:
        nearest = difflib.get_close_matches(name.lower().replace("-", "_"), valid, n=1, cutoff=0.5)
        hint = f". Did you mean {nearest[0]}?" if nearest else ""
        raise SpecError(f"unknown {kind} {name!r}: valid names are {', '.join(valid)}{hint}")


def _run(specs: list[RunSpec], options: Options) -> None:
    from bench.cli.progress import show
    from bench.execution.events import Finished, Message

    def events() -> "Generator[Event]":
        families = ", ".join(dict.fromkeys(spec.family for spec in specs))
        how = "as published" if specs[0].fixed else specs[0].tuner
        yield Message(text=f"{families} on {specs[0].dataset}, {how}, results in {options.results}")
        with defer_signals():
            from bench.execution.runner import run

        yield from run(specs, options)

    try:
        with handle_sigterm(), contextlib.closing(events()) as started:
            ended = show(started)
    except KeyboardInterrupt as stopped:
        typer.echo("Interrupted; what is done is kept. To go on:", err=True)
        typer.echo(f"  {command(specs, options)}", err=True)
        raise typer.Exit(exit_code(stopped)) from None
    _tell_end(options.results, [event for event in ended if isinstance(event, Finished)])
    reasons = [event.reason for event in ended if not isinstance(event, Finished)]
    if reasons:
        raise SearchError("\n".join(reasons))


def _tell_end(results: Path, finished: "list[Finished]") -> None:
    from bench.report import report
    from bench.report.terminal import row_text

    if not finished:
        return
    report.write(results)
    for event in finished:
        if not event.trained:
            typer.echo("Finished before; --again repeats it.", err=True)
        typer.echo(row_text(results, event.folder.path.parent.name, event.folder.path.name))
    typer.echo(f"Leaderboard: {results / 'leaderboard.md'}")


def _dry_run(specs: list[RunSpec], options: Options) -> None:
    from bench.data.development import development, facts
    from bench.execution.runner import choose_folder, space
    from bench.records.files import check_writable
    from bench.workers.tasks import warm_up

    check_writable(options.results)
    warm_up()
    from bench.execution.forecast import forecast

    dataset = facts(development(specs[0].dataset, options.data_dir, lambda line: typer.echo(line, err=True)))
    for spec in specs:
        folder = choose_folder(options.results, spec, options.again)
        if folder.finished:
            folder.read_predictions(folder.read_record())  # a damaged one is named, not called finished
            typer.echo(f"{spec.family} on {spec.dataset}: finished in {folder.path}, nothing would be trained")
            continue
        typer.echo(f"timing a few steps of candidates of {spec.family}", err=True)
        expected = forecast(spec, space(spec, dataset), dataset, options.workers, options.data_dir)
        planned = expected.plan
        typer.echo(
            f"{spec.family} on {spec.dataset}, {spec.tuner}, {spec.precision}, {options.workers} workers, "
            f"into {folder.path}\n"
            f"  search: {planned.candidates} candidates in {planned.tasks} trials, {planned.epochs} epochs\n"
            f"  refits: {spec.refit_seeds} seed(s), {spec.budget.epochs} epochs each\n"
            f"  about {expected.minutes:.1f} minutes and {expected.megabytes:.1f} MB on disk, "
            f"by a few steps of {expected.candidates} candidates on this machine"
        )


@app.command(epilog="\b\nExamples:\n  bench verify cnn\n  bench verify cnn-hyperband-0123456789 --results results")
def verify(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A row of the leaderboard, or the folder of a run.")],
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the dataset's files.")] = None,
    results: Results = Path("results"),
) -> None:
    """Recompute what is published of a run, check its data, train one refit anew: VERIFIED, or what differs.

    The refit must be equal bit for bit on the same processor with the same versions, and elsewhere lie where 95 % of
    further seeds would. It reads the sealed test part once more, which is counted. Exit code 1 where something differs.
    """
    from bench.cli.progress import show
    from bench.execution.events import Message
    from bench.records.files import require_results_dir
    from bench.workers.tasks import warm_up

    require_results_dir(results)
    warm_up()
    from bench.execution.verify import Finding, verify

    found: list[Finding] = []

    def events() -> Generator[Message]:
        found.extend((yield from verify(name, Options(results=results, workers=1, data_dir=data_dir))))

    try:
        with handle_sigterm(), contextlib.closing(events()) as started:
            show(started)
    except KeyboardInterrupt as stopped:
        raise typer.Exit(exit_code(stopped)) from None
    for finding in found:
        typer.echo(f"{'agrees' if finding.agrees else 'DIFFERS'}  {finding.text}")
    verified = all(finding.agrees for finding in found)
    typer.echo(f"{name}: {'VERIFIED' if verified else 'not verified'}")
    raise typer.Exit(0 if verified else 1)


@app.command("list", epilog="\b\nExamples:\n  bench list\n  bench list --json")
def list_names(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Name the families, datasets and tuners that there are."""
    from bench.baselines import catalog as references
    from bench.data.catalog import names

    found = {"families": search_spaces.names(), "datasets": names(), "tuners": TUNERS, "references": references.NAMES}
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for kind, values in found.items():
        typer.echo(f"{kind}: {', '.join(values)}")


def main() -> None:
    """Entry point of `bench` and of `python -m bench`."""
    try:
        app()
    except BenchError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
