"""bench new-family and check-family: write a template, check the candidates of a family."""

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated

import typer

import search_spaces
from bench.cli import completion
from bench.cli.datasets import locate_dataset
from bench.cli.help import Command
from bench.cli.json_output import echo_json
from bench.cli.options import (
    AsJson,
    ClassNames,
    DataDir,
    DatasetOption,
    ImageSize,
    PixelRangeName,
    Quiet,
    Workers,
)
from bench.errors import SpecError, StoreError
from bench.evaluation.text import counted, number
from bench.records.limits import DEFAULT_DATASET
from bench.signals import exit_code

if TYPE_CHECKING:
    from bench.execution.family_check import FamilyCheck

families_app = typer.Typer()

MAX_CANDIDATES = 10_000


@families_app.command(
    "new-family", cls=Command, rich_help_panel="Families and datasets", epilog="Examples:\n  bench new-family my_net"
)
def new_family(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the family: lower-case letters, digits and _.")],
) -> None:
    """Write a template of a family to search_spaces/NAME.py.

    It is a small family that works; replace its layers and hyperparameters with your own.
    """
    if not name.isascii() or not name.isidentifier() or name != name.lower() or name.startswith("_"):
        raise SpecError(
            f"a family's name must consist of lower-case letters, digits and _, and start with a letter, got {name!r}"
        )
    if name == "all":
        raise SpecError("--family all means every family: choose another name")
    if name in search_spaces.names():
        raise SpecError(f"there is a family {name!r} already: choose another name")
    path = Path("search_spaces", f"{name}.py")
    template = Template(files("bench.cli").joinpath("family_template.txt").read_text(encoding="utf-8"))
    text = template.substitute(name=name, kind="".join(part.title() for part in name.split("_")))
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        problem = f"cannot write {path}: {error.strerror or error}"
        raise StoreError(f"{problem}. Run the command in another folder") from error
    typer.echo(f"{path}\nCheck it with: python -m bench check-family {name} --dataset digits")


@families_app.command(
    "check-family",
    cls=Command,
    rich_help_panel="Families and datasets",
    epilog="Examples:\n"
    "  bench check-family cnn\n"
    "  bench check-family my.py:build_model --dataset digits\n"
    "  bench check-family cnn --json | jq .regions",
)
def check_family(
    *,
    family: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY",
            autocompletion=completion.family,
            help="Family, as for `bench run --family`.",
            show_default=False,
        ),
    ],
    dataset: DatasetOption = DEFAULT_DATASET,
    candidates: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_CANDIDATES, help="Number of random candidates.")
    ] = 100,
    pixel_range: PixelRangeName = "auto",
    workers: Workers = None,
    data_dir: DataDir = None,
    image_size: ImageSize = None,
    class_names: ClassNames = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Build random candidates of a family and train one step of each.

    Reports failures, model sizes, the expensive regions of the space, and how much of it each preset tries. The exit
    code is 1 if a candidate failed.
    """
    from bench.cli.progress import interruptible_display
    from bench.execution.events import Message
    from bench.execution.family_check import check_family
    from bench.execution.models import locate_families
    from bench.execution.options import Options
    from bench.machine import usable_cores

    (located,) = locate_families([family])
    location = locate_dataset(dataset, data_dir, image_size, class_names, quiet=quiet)
    options = Options(results=Path(), dataset=location, workers=workers or usable_cores())
    try:
        with interruptible_display(quiet=quiet) as report:
            report(Message(text=f"Checking {candidates} random candidates of {located.name} on {location.name}"))
            checked = check_family(
                located,
                options,
                report,
                candidates=candidates,
                pixel_range=None if pixel_range == "auto" else pixel_range,
            )
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(exit_code(interrupt)) from None
    if as_json:
        echo_json(checked)
    else:
        typer.echo(_text(checked))
    raise typer.Exit(1 if checked.failures else 0)


def _text(check: "FamilyCheck") -> str:
    failed = sum(failure.candidates for failure in check.failures)
    of_space = "candidates of an infinite space" if check.size is None else f"of {check.size:,} candidates"
    lines = [f"{check.family} on {check.dataset}: {check.checked} {of_space}, {failed} failed"]
    if check.own_recipe is not None:
        lines += [f"Training recipe: {check.own_recipe.training}", f"Inputs: {check.own_recipe.inputs}"]
        if check.own_recipe.own_fit:
            lines.append("Its own fit is not checked: the steps are trained without it; a run trains by it.")
    for failure in check.failures:
        values = ", ".join(f"{name}={value}" for name, value in failure.example.items())
        lines.append(f"{counted(failure.candidates, 'candidate')} failed, such as {values}: {failure.reason}")
    if check.costs:
        lines.append("Costs (minimum, median, maximum):")
        lines += [
            f"  {name}: {', '.join(map(number, (each.low, each.median, each.high)))}"
            for name, each in check.costs.items()
        ]
    lines.append("Expensive regions:" if check.regions else "No region takes much longer than the others.")
    lines += [
        f"  {' and '.join(region.conditions)}: {100 * region.share:.0f}% of the candidates, a step takes "
        f"{region.ratio:.1f} times as long as the median"
        for region in check.regions
    ]
    if check.coverage:
        lines.append("Presets:")
    for each in check.coverage:
        share = "of an infinite space" if each.share is None else f"{100 * each.share:.3g}% of the space"
        lines.append(
            f"  {each.preset}: {counted(each.candidates, 'candidate')}, {share}, up to {counted(each.epochs, 'epoch')} "
            "each"
        )
    return "\n".join(lines)
