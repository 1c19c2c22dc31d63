"""bench versions: measure and compare versions of TensorFlow and Keras."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completion
from bench.cli.datasets import locate_dataset
from bench.cli.help import Command, Group
from bench.cli.json_output import echo_json
from bench.cli.options import AsJson, ClassNames, ImageSize, PixelRangeName, Quiet, Results
from bench.cli.results import warn_unreadable, write_pages
from bench.command import DEFAULT_RESULTS, command
from bench.errors import RecordError, SearchError, SpecError, check_name
from bench.records.limits import MAX_EPOCHS
from bench.signals import exit_code, handle_signals

if TYPE_CHECKING:
    from bench.data.catalog import DatasetLocation
    from bench.records.choices import PixelRange
    from bench.versions.subjects import Subject

versions_app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Compare versions of TensorFlow and Keras.\n\nShows which version changed accuracy or speed.",
    epilog="Examples:\n  bench versions show\n  bench versions measure tf216 tf221",
)


@versions_app.command(
    cls=Command, epilog="Examples:\n  bench versions show\n  bench versions show --json | jq '.[].models'"
)
def show(
    family: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Show a family measured with `--family`.", show_default="reference models"),
    ] = None,
    results: Results = DEFAULT_RESULTS,
    as_json: AsJson = False,
) -> None:
    """Show accuracy and speed of the measured versions.

    Also shows what changed between them. Needs neither TensorFlow nor the dataset.
    """
    from bench.versions.page import versions_data, versions_text
    from bench.versions.record import read_all
    from bench.versions.series import all_series
    from bench.versions.subjects import family_root, measured_families

    root = results
    if family is not None:
        if not (measured := measured_families(results)):
            remedy = command(results, "versions", "measure", "--family", "FAMILY")
            raise SpecError(f"no family measured in {results}: use `{remedy}`")
        check_name("measured family", family, measured)
        root = family_root(results, family)
    records, problems = read_all(root)
    if problems and not records:
        raise RecordError("; ".join(problems))
    series = all_series(records)
    if as_json:
        echo_json(versions_data(series))
    else:
        missing = f"No version measured yet: run `{command(results, 'versions', 'measure')}`."
        typer.echo(versions_text(series) or missing)
    warn_unreadable(problems)


@versions_app.command(
    cls=Command,
    epilog="Examples:\n"
    "  bench versions measure\n"
    "  bench versions measure tf216 tf221 --starts 20\n"
    "  bench versions measure keras312 keras315 --starts 0\n"
    "  bench versions measure --again --seeds 0\n"
    "  bench versions measure tf216 tf221 --family my.py:build_model --dataset digits",
)
def measure(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names of tox environments, e.g. tf216.", show_default="all that exist"),
    ] = None,
    starts: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Process starts per version to measure speed; 0 for accuracy only. With fewer than 8, a change of a "
            "single operation may never be significant.",
        ),
    ] = 10,
    seeds: Annotated[
        int, typer.Option(metavar="N", help="Number of seeds per model, a multiple of 12; 0 for speed only.")
    ] = 12,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Measure speed again, replacing earlier timings once every version has been timed; trained models are "
            "kept.",
        ),
    ] = False,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="FAMILY",
            autocompletion=completion.family,
            show_default="two published models",
            help="Measure the default candidate of a family, as for `bench run --family`.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            autocompletion=completion.datasets,
            show_default="fashion_mnist_12k",
            help="Dataset of --family.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MAX_EPOCHS, show_default="10", help="Training epochs of --family."),
    ] = None,
    image_size: ImageSize = None,
    class_names: ClassNames = None,
    pixel_range: PixelRangeName = "auto",
    environments: Annotated[Path, typer.Option(metavar="DIR", help="Folder with the tox environments.")] = Path(".tox"),
    results: Results = DEFAULT_RESULTS,
    quiet: Quiet = False,
) -> None:
    """Run the missing measurements (takes hours) and update the page.

    Create the environments with `tox -m versions --notest`, then run this command in the checkout. Each measurement is
    saved immediately; repeat the command to resume.

    The interpreters of all versions are started in rotation, so that a busy machine does not make one version look
    slow. Speed is compared only between versions measured in rotation: to add a version, name it together with the
    versions to compare it with, and use --again.
    """
    from bench.versions.environments import find
    from bench.versions.measure import STARTS_DROPPED, Plan
    from bench.versions.measure import measure as measure_versions
    from bench.versions.subjects import DATASET, ReferenceModels

    steps: list[str] = []

    def report(step: str) -> None:
        steps.append(step)
        if not quiet:
            typer.echo(step, err=True)

    subject: Subject = ReferenceModels()
    if family is not None:
        location = locate_dataset(dataset or DATASET, None, image_size, class_names, quiet=quiet)
        subject = _family_subject(family, location, epochs, None if pixel_range == "auto" else pixel_range)
    elif (dataset, epochs, image_size, class_names, pixel_range) != (None, None, None, None, "auto"):
        raise SpecError(
            "--dataset, --epochs, --image-size, --class-names and --pixel-range need --family: the reference models "
            "have their own recipes"
        )
    plan = Plan(
        checkout=Path.cwd(),
        results=results.absolute(),
        starts=starts,
        seeds=seeds,
        again=again,
        subject=subject,
    )
    try:
        with handle_signals():
            interpreters = find(environments, tuple(names or ()), plan.checkout)
            measure_versions(interpreters, plan, report)
    except (SearchError, KeyboardInterrupt) as stop:
        write_pages(plan.results)
        what = "Interrupted. " if isinstance(stop, KeyboardInterrupt) else ""
        dropped = STARTS_DROPPED in steps
        saved = "Completed measurements are saved" if dropped or not again else "Earlier timings are kept"
        # With --again, a repeated command would drop the new starts as well.
        option = " without --again" if dropped else ""
        typer.echo(f"{what}{saved}. To resume, repeat the command{option}.", err=True)
        if isinstance(stop, KeyboardInterrupt):
            raise typer.Exit(exit_code(stop)) from None
        raise
    write_pages(plan.results)
    page = "versions.md" if family is None else f"versions-{plan.subject.models[0]}.md"
    words = [] if family is None else ["--family", plan.subject.models[0]]
    show_them = command(results, "versions", "show", *words)
    typer.echo(f"All measurements are complete; see {results / page} or `{show_them}`.")


def _family_subject(
    family: str, location: "DatasetLocation", epochs: int | None, pixel_range: "PixelRange | None"
) -> "Subject":
    """A family to measure, as the options of `measure` describe it."""
    from bench.execution.models import locate_families
    from bench.versions.subjects import FAMILY_EPOCHS, FamilySubject

    if commas := [name for name in location.reading.class_names if "," in name]:
        raise SpecError(f"class names must not contain commas here, got {commas[0]!r}: rename the class")
    (located,) = locate_families([family])
    return FamilySubject(family=located, dataset=location, epochs=epochs or FAMILY_EPOCHS, pixel_range=pixel_range)
