"""How long `bench run` takes from the command to the first training step, and how much of it is the libraries.

python tests/benchmarks/startup.py current
python tests/benchmarks/startup.py before=../another-checkout after

In each round, one process imports TensorFlow and Keras Tuner and does nothing else; then, for each version, `bench run`
starts a small search on digits in an empty results folder and is stopped after the first batch. The difference is what
the suite adds to the libraries that it cannot do without. All versions use the libraries of this environment.

Measurements are kept in results/benchmarks/startup.json; the page startup.md is made from them, with --page-only
without measuring. Run it on an otherwise idle machine.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.machine import Environment, environment, variables
from bench.records.encoding import read_json

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import machine_text, page, page_parser, publish, store, table, verdicts

IMPORT = "import tensorflow, keras_tuner"
OPTIONS = "--family dense --dataset digits --trials 4 --epochs 2 --refit-seeds 1 --tuner random"
GOAL_SECONDS = 2.0  # median of the command minus median of the import
ROUNDS = 7
ROOT = Path(__file__).parents[2]
FIRST_STEP = ROOT / "tests" / "first_step"
WAIT_SECONDS = 120
POLL_SECONDS = 0.005
PAGE = Path("results/benchmarks/startup.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One import, then the command of each version."""

    import_seconds: float
    command_seconds: tuple[float, ...]  # until the end of the first batch, by version
    load: float  # the machine's one-minute load average before the round


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that the page is made from."""

    environment: Environment
    versions: tuple[str, ...]
    rounds: tuple[Round, ...]

    @property
    def import_seconds(self) -> float:
        """Median of the rounds."""
        return median(each.import_seconds for each in self.rounds)

    def command_seconds(self, version: int) -> tuple[float, ...]:
        """The seconds of a version, by round."""
        return tuple(each.command_seconds[version] for each in self.rounds)

    def added_seconds(self, version: int) -> float:
        """What the suite adds to the import: the difference of the medians."""
        return median(self.command_seconds(version)) - self.import_seconds


def main(versions: Mapping[str, Path], rounds: int) -> None:
    """Measure `versions`, by label the folder of their checkout, unless there are none; then write the page."""
    stored = PAGE.with_suffix(".json")
    if versions:
        measured = Measurement(
            environment=environment(),
            versions=tuple(versions),
            rounds=tuple(_round(list(versions.values())) for _ in range(rounds)),
        )
        store(stored, measured)
    publish(PAGE, _page(read_json(Measurement, stored)))


def _round(checkouts: Sequence[Path]) -> Round:
    load, _, _ = os.getloadavg()
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True)
    import_seconds = time.monotonic() - start
    commands = tuple(seconds_to_first_step(checkout) for checkout in checkouts)
    measured = Round(import_seconds=import_seconds, command_seconds=commands, load=load)
    sys.stderr.write(f"{measured}\n")
    return measured


def seconds_to_first_step(checkout: Path) -> float:
    """Seconds from the start of `bench run` to the end of its first batch."""
    with tempfile.TemporaryDirectory(prefix="bench-startup-") as folder:
        marker, output = Path(folder) / "first_step", Path(folder) / "output"
        command = [sys.executable, "-m", "bench", "run", *OPTIONS.split(), "--results", str(Path(folder) / "results")]
        changed = variables(FIRST_STEP=str(marker), PYTHONPATH=str(FIRST_STEP))
        with output.open("wb") as file:
            start = time.monotonic()
            process = subprocess.Popen(command, cwd=checkout, env=changed, stdout=file, stderr=subprocess.STDOUT)
        while not (marker.exists() and marker.read_text(encoding="utf-8")):
            if process.poll() is not None or time.monotonic() - start > WAIT_SECONDS:
                process.kill()
                raise RuntimeError(f"no training step: {output.read_text(encoding='utf-8', errors='replace')}")
            time.sleep(POLL_SECONDS)
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_SECONDS)
        return float(marker.read_text(encoding="utf-8")) - start


def _page(measurement: Measurement) -> str:
    """The page: one row per version."""
    rows = (
        {
            "version": version,
            "command, s": f"{median(measurement.command_seconds(number)):.2f}",
            "range": _range(measurement.command_seconds(number)),
            "more than the import, s": f"{measurement.added_seconds(number):.2f}",
            "goal": "met" if measurement.added_seconds(number) <= GOAL_SECONDS else "not met",
        }
        for number, version in enumerate(measurement.versions)
    )
    libraries = ("Python", "TensorFlow", "Keras", "Keras Tuner", "distributed")
    machine = machine_text(measurement.environment, *libraries, platform=True)
    imports = [each.import_seconds for each in measurement.rounds]
    newest = measurement.added_seconds(len(measurement.versions) - 1)  # the last version
    return page(
        "# Start-up time",
        (
            f"Time from the command to the end of the first training batch of `python -m bench run {OPTIONS}`, "
            f"compared with `{IMPORT}` alone. The goal is at most {GOAL_SECONDS:g} s more than the import."
        ),
        table(rows),
        *verdicts([(f"{newest:.2f} s more than the import (goal {GOAL_SECONDS:g} s)", newest <= GOAL_SECONDS)]),
        (
            f"Medians of {len(measurement.rounds)} rounds. The import took {measurement.import_seconds:.2f} s "
            f"({_range(imports)}). On {machine}. The one-minute load average before a round, which includes earlier "
            f"rounds, was {_range([each.load for each in measurement.rounds])}."
        ),
        "Generated by `python tests/benchmarks/startup.py` from [startup.json](startup.json).",
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


if __name__ == "__main__":
    parser = page_parser(__doc__)
    parser.add_argument("versions", nargs="*", metavar="LABEL[=CHECKOUT]", default=["current"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    named = {} if arguments.page_only else dict(each.partition("=")[::2] for each in arguments.versions)
    main({label: Path(folder or ROOT) for label, folder in named.items()}, arguments.rounds)
