"""How much memory a run on many images uses, with several workers.

python tests/benchmarks/large_dataset.py --folder /tmp/large

Writes a folder of random color images by class to --folder, unless it is there, imports it, and runs a small search of
cnn, in which all workers train at once, and as many refits with their evaluation. Meanwhile, the memory of the command
and all processes below it is sampled as proportional set size, which divides a page that several processes share, such
as the mapped images, between them. The exit code is 1 if the sum exceeds the limit.

Measurements are stored in results/benchmarks/large_dataset.json; large_dataset.md next to it is made from them.
--page-only makes it without measuring.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]  # distributed depends on it
from PIL import Image

from bench.machine import Environment, environment, variables
from bench.records.encoding import read_json

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.shared import machine_text, page, publish, store, table, verdicts

IMAGES = 200_000
SHAPE = (32, 32, 3)
CLASSES = 10
WORKERS = 4
LIMIT_BYTES = 8_000_000_000
GB = 1e9
PAUSE_SECONDS = 0.2  # between samples
RUN = f"--family cnn --tuner random --trials {WORKERS} --epochs 1 --refit-seeds {WORKERS} --workers {WORKERS}"
PAGE = Path("results/benchmarks/large_dataset.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The memory of all processes of a command at one time."""

    seconds: float  # since the start of the command
    bytes: int  # sum of the proportional set sizes
    anonymous_bytes: int  # the part of it that is not backed by files
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command."""

    name: str
    samples: int
    max_gap_seconds: float  # between two samples
    peak: Sample  # the one with the most memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that the page is made from."""

    environment: Environment
    images: int
    steps: tuple[Step, ...]

    @property
    def peak_bytes(self) -> int:
        """The most memory in any sample."""
        return max(step.peak.bytes for step in self.steps)


def main(folder: Path | None, images: int) -> int:
    """Measure in `folder`, if there is one, and write the page; returns 1 if the limit is exceeded, else 0."""
    stored = PAGE.with_suffix(".json")
    if folder is not None:
        store(stored, Measurement(environment=environment(), images=images, steps=tuple(_measure(folder, images))))
    measurement: Measurement = read_json(Measurement, stored)
    publish(PAGE, _page(measurement))
    return int(measurement.peak_bytes > LIMIT_BYTES)


def _measure(folder: Path, images: int) -> Iterator[Step]:
    dataset = folder / f"images{images}"
    if not dataset.exists():
        make_images(dataset, images)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        run = ["run", "--dataset", str(dataset), *RUN.split(), "--results", f"{scratch}/results"]
        for name, command in (("import", ["data", "fetch", str(dataset)]), ("search, refits, evaluation", run)):
            samples = list(_samples(command, scratch))
            yield Step(
                name=name,
                samples=len(samples),
                max_gap_seconds=max(after.seconds - before.seconds for before, after in pairwise(samples)),
                peak=max(samples, key=lambda each: each.bytes),
            )


def make_images(folder: Path, images: int) -> None:
    """Write `images` distinct PNG files, whose brightness depends on their class."""
    for label in range(CLASSES):
        target = folder / f"class{label}"
        target.mkdir(parents=True)
        generator = np.random.default_rng(label)
        for number in range(images // CLASSES):
            pixels = generator.integers(0, 156, SHAPE) + 10 * label
            Image.fromarray(pixels.astype(np.uint8)).save(target / f"{number:06}.png", compress_level=0)


def _samples(arguments: Sequence[str], scratch: str) -> Iterator[Sample]:
    """Run a command of `bench` and sample its memory until it ends."""
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        env=variables(XDG_CACHE_HOME=f"{scratch}/cache"),
        stdout=sys.stderr,
        preexec_fn=_limit,  # noqa: PLW1509 - there are no threads
    ) as process:
        while process.poll() is None:
            yield sample(psutil.Process(process.pid), start)
            time.sleep(PAUSE_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)


def _limit() -> None:
    # Linux ignores it; Dask takes it for the memory of the machine, and terminates a worker that exceeds its share.
    resource.setrlimit(resource.RLIMIT_RSS, (LIMIT_BYTES, LIMIT_BYTES))


def sample(process: psutil.Process, start: float = 0.0) -> Sample:
    """The memory of `process` and all processes below it; those that end meanwhile do not count."""
    total = anonymous = count = 0
    for each in [process, *_descendants(process)]:
        try:
            lines = Path(f"/proc/{each.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # it has ended
            continue
        kilobytes = {name: int(value.split()[0]) for name, value in (line.split(":") for line in lines)}
        total += 1024 * kilobytes["Pss"]
        anonymous += 1024 * kilobytes["Pss_Anon"]
        count += 1
    return Sample(seconds=time.monotonic() - start, bytes=total, anonymous_bytes=anonymous, processes=count)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _page(measurement: Measurement) -> str:
    """The page: one row per command."""
    rows = (
        {
            "step": step.name,
            "peak memory, GB": f"{step.peak.bytes / GB:.2f}",
            "anonymous part of it, GB": f"{step.peak.anonymous_bytes / GB:.2f}",
            "processes at the peak": str(step.peak.processes),
        }
        for step in measurement.steps
    )
    machine = machine_text(measurement.environment, "Python", "TensorFlow", "Keras", "distributed", platform=True)
    gap = max(step.max_gap_seconds for step in measurement.steps)
    peak = f"{measurement.images:,} images on {WORKERS} workers take {measurement.peak_bytes / GB:.2f} GB at the peak"
    limit = f"{LIMIT_BYTES / GB:g} GB"
    height, width, channels = SHAPE
    return page(
        "# Memory of a run on a large dataset",
        (
            f"`bench run {RUN}` on a folder of {measurement.images:,} PNG files of {height}x{width}x{channels} in "
            f"{CLASSES} classes ({measurement.images * height * width * channels / GB:.2f} GB as an array), once, "
            f"on {machine}."
        ),
        table(rows),
        *verdicts([(f"{peak} (goal {limit})", measurement.peak_bytes <= LIMIT_BYTES)]),
        (
            "Memory is the sum of the proportional set sizes of all processes of a command: a page that several "
            "processes map, of images or libraries, is divided between them. It was sampled at most "
            f"{gap:.1f} s apart; shorter peaks may have been missed. The anonymous part is not backed by files. "
            f"Dask was told that the machine has {limit}, and terminates a worker that exceeds 85% of its share. "
            "1 GB is 1,000,000,000 bytes."
        ),
        "Generated by `python tests/benchmarks/large_dataset.py` from [large_dataset.json](large_dataset.json).",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--folder", type=Path, help="for images, cache and results; needs about 2 GB")
    mode.add_argument("--page-only", action="store_true", help="write the page from the stored measurements")
    parser.add_argument("--images", type=int, default=IMAGES)
    arguments = parser.parse_args()
    sys.exit(main(arguments.folder, arguments.images))
