"""How long `bench run` takes from the command to the first training step, and how much of it is the libraries.

python tests/benchmarks/startup.py --label "what is measured"

In each round, one process imports TensorFlow and Keras Tuner and does nothing else, then `bench run` starts a small
search on digits in an empty results folder and is stopped after the first batch. The difference is what the suite adds
to the libraries that it cannot do without.

Measurements are kept in results/benchmarks/startup.json, one series per label; measuring a label again replaces it.
The page startup.md is made from them, with --page-only without measuring. Run it on an otherwise idle machine.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import pandas as pd

from bench.machine import Environment, environment, variables
from bench.records.files import write_atomic
from bench.report.markdown import table

IMPORT = "import tensorflow, keras_tuner"
OPTIONS = "--family dense --dataset digits --trials 4 --epochs 2 --refit-seeds 1 --tuner random"
GOAL_SECONDS = 2.0  # median of the command minus median of the import
ROUNDS = 7
FIRST_STEP = Path(__file__).parents[1] / "first_step"
WAIT_SECONDS = 120
POLL_SECONDS = 0.005
PAGE = Path("results/benchmarks/startup.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One import and one command, in that order."""

    import_seconds: float
    command_seconds: float  # until the end of the first batch
    load: float  # the machine's one-minute load average before the round


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The rounds of one label."""

    label: str
    environment: Environment
    rounds: tuple[Round, ...]

    @property
    def import_seconds(self) -> float:
        """Median."""
        return median(each.import_seconds for each in self.rounds)

    @property
    def command_seconds(self) -> float:
        """Median."""
        return median(each.command_seconds for each in self.rounds)

    @property
    def added_seconds(self) -> float:
        """What the suite adds to the import: the difference of the medians."""
        return self.command_seconds - self.import_seconds


def main(label: str | None, rounds: int) -> None:
    """Measure `label`, unless it is None, then write the page."""
    stored = PAGE.with_suffix(".json")
    series = msgspec.json.decode(stored.read_bytes(), type=list[Series]) if stored.exists() else []
    if label is not None:
        measured = Series(label=label, environment=environment(), rounds=tuple(_round() for _ in range(rounds)))
        series = [each for each in series if each.label != label] + [measured]
        write_atomic(stored, msgspec.json.format(msgspec.json.encode(series), indent=1) + b"\n")
    write_atomic(PAGE, page(series).encode())
    sys.stdout.write(PAGE.read_text(encoding="utf-8"))


def _round() -> Round:
    load, _, _ = os.getloadavg()
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True)
    import_seconds = time.monotonic() - start
    measured = Round(import_seconds=import_seconds, command_seconds=_time_command(), load=load)
    sys.stderr.write(f"{measured}\n")
    return measured


def _time_command() -> float:
    """Seconds from the start of `bench run` to the end of its first batch."""
    with tempfile.TemporaryDirectory(prefix="bench-startup-") as folder:
        marker, output = Path(folder) / "first_step", Path(folder) / "output"
        command = [sys.executable, "-m", "bench", "run", *OPTIONS.split(), "--results", str(Path(folder) / "results")]
        changed = variables(FIRST_STEP=str(marker), PYTHONPATH=str(FIRST_STEP))
        with output.open("wb") as file:
            start = time.monotonic()
            process = subprocess.Popen(command, env=changed, stdout=file, stderr=subprocess.STDOUT)
        while not (marker.exists() and marker.read_text(encoding="utf-8")):
            if process.poll() is not None or time.monotonic() - start > WAIT_SECONDS:
                process.kill()
                raise RuntimeError(f"no training step: {output.read_text(encoding='utf-8', errors='replace')}")
            time.sleep(POLL_SECONDS)
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_SECONDS)
        return float(marker.read_text(encoding="utf-8")) - start


def page(series: Sequence[Series]) -> str:
    """The page: one row per series."""
    rows = pd.DataFrame(
        {
            "version": each.label,
            "rounds": str(len(each.rounds)),
            "import, s": f"{each.import_seconds:.2f}",
            "command, s": f"{each.command_seconds:.2f}",
            "range": _range([measured.command_seconds for measured in each.rounds]),
            "difference, s": f"{each.added_seconds:.2f}",
            "goal": "met" if each.added_seconds <= GOAL_SECONDS else "not met",
            "load": _range([measured.load for measured in each.rounds]),
            "commit": (each.environment.git_commit or "unknown")[:10],
        }
        for each in series
    )
    machine = series[-1].environment
    return "\n".join(
        [
            "# Start-up time",
            "",
            (
                f"Time from the command to the end of the first training batch of `python -m bench run {OPTIONS}`, "
                f"next to the time of `{IMPORT}` alone, measured in alternation; medians. The goal is a difference of "
                f"at most {GOAL_SECONDS:g} s."
            ),
            "",
            table(rows),
            "",
            (
                f"On {machine.cpu} with {machine.cores} cores, {machine.platform}, Python {machine.python}, "
                f"TensorFlow {machine.tensorflow}, Keras {machine.keras}, Keras Tuner {machine.keras_tuner}, "
                f"distributed {machine.distributed}. Load is the range of the machine's one-minute load average before "
                "each round, which includes the rounds before it."
            ),
            "",
            "Generated by `python tests/benchmarks/startup.py` from [startup.json](startup.json).",
            "",
        ]
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measured = parser.add_mutually_exclusive_group(required=True)
    measured.add_argument("--label", help="name of the series, such as a version")
    measured.add_argument("--page-only", action="store_true", help="write the page from the stored measurements")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    main(arguments.label, arguments.rounds)
