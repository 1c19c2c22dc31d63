"""How much memory a run on many images uses.

python tests/benchmarks/large_dataset.py --folder /tmp/large

Makes a folder of random color images by class once, in --folder, and runs `bench run` on it with a limit on memory and
several workers: the import, a small search, a refit and its evaluation. The memory of all its processes together is
sampled as proportional set size, in which a page that several processes share counts once. The exit code is 1 if the
run fails or its memory exceeds the limit.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]  # distributed depends on it
from PIL import Image

SIDE, CHANNELS, CLASSES = 32, 3, 10
SAMPLE_SECONDS = 0.5
GIB = 2**30


def make_images(folder: Path, images: int) -> None:
    """Write `images` distinct PNG files; their brightness depends on their class."""
    for label in range(CLASSES):
        target = folder / f"class{label}"
        target.mkdir(parents=True)
        generator = np.random.default_rng(label)
        for number in range(images // CLASSES):
            pixels = generator.integers(0, 156, (SIDE, SIDE, CHANNELS)) + 10 * label
            Image.fromarray(pixels.astype(np.uint8)).save(target / f"{number:06}.png", compress_level=0)


def run(arguments: argparse.Namespace, dataset: Path) -> tuple[int, list[dict[str, float]]]:
    """Run the command; returns its exit code and the samples."""
    options = ["--tuner", "random", "--trials", arguments.workers, "--epochs", 1, "--refit-seeds", 1]
    command = [sys.executable, "-m", "bench", "run", "--family", arguments.family, "--dataset", dataset, *options]
    limit = int(arguments.limit_gib * GIB)
    started = time.perf_counter()
    with subprocess.Popen(
        [
            *map(str, command),
            "--workers",
            str(arguments.workers),
            "--results",
            str(arguments.folder / "results"),
            "--again",
        ],
        env={**os.environ, "XDG_CACHE_HOME": str(arguments.folder / "cache")},
        # Dask terminates a worker that uses more than its share of this limit.
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_RSS, (limit, limit)),  # noqa: PLW1509 - no threads
    ) as process:
        samples = []
        while process.poll() is None:
            samples.append(sample(process.pid) | {"seconds": time.perf_counter() - started})
            time.sleep(SAMPLE_SECONDS)
    return process.returncode, samples


def sample(pid: int) -> dict[str, float]:
    """Memory in GiB of a process and its descendants: proportional set size, and its part that no file backs."""
    totals = {"pss": 0.0, "anonymous": 0.0, "processes": 0.0}
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return totals
    for process in processes:
        try:
            fields = dict(
                line.split(":") for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
            )
        except OSError:  # it ended
            continue
        totals["pss"] += int(fields["Pss"].split()[0]) / 2**20
        totals["anonymous"] += int(fields["Pss_Anon"].split()[0]) / 2**20
        totals["processes"] += 1
    return totals


def main(arguments: argparse.Namespace) -> int:
    """Measure and print one line of JSON."""
    dataset = arguments.folder / f"images{arguments.images}"
    if not dataset.exists():
        make_images(dataset, arguments.images)
    code, samples = run(arguments, dataset)
    peak = max(samples, key=lambda each: each["pss"])
    result = {
        "images": arguments.images,
        "workers": arguments.workers,
        "family": arguments.family,
        "exit_code": code,
        "seconds": round(samples[-1]["seconds"]),
        "peak_gib": round(peak["pss"], 2),
        "peak_anonymous_gib": round(max(each["anonymous"] for each in samples), 2),
        "peak_after_seconds": round(peak["seconds"]),
        "processes_at_peak": int(peak["processes"]),
        "limit_gib": arguments.limit_gib,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return int(code != 0 or peak["pss"] > arguments.limit_gib)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for images, cache and results; about 1.5 GB")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--family", default="cnn")
    parser.add_argument("--limit-gib", type=float, default=8.0)
    sys.exit(main(parser.parse_args()))
