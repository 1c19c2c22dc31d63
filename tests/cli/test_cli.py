"""Commands that train nothing: help, exit codes, bad input, damaged results, pipes.

Real processes where the process matters; elsewhere the entry point is called, which takes a tenth of the time.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.cli.app import main
from command_line import command, run, small_disk, variables

GOLDEN = Path(__file__).parents[1] / "golden" / "results"
COMMANDS = ["", "run", "leaderboard", "report", "list", "data", "data fetch", "data describe", "runs", "runs delete"]
ESCAPE = "\x1b"


@dataclass(frozen=True)
class Ended:
    """What a command said."""

    stdout: str
    stderr: str


Call = Callable[..., Ended]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the entry point with some arguments in the folder `tmp_path`; it must end with `code`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> Ended:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == code, said
        return Ended(*said)

    return call


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A copy of the sample results; trains nothing and needs no dataset."""
    shutil.copytree(GOLDEN, tmp_path / "results")
    return tmp_path / "results"


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# Help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples_one_a_line(name: str, call: Call) -> None:
    text = call(*name.split(), "--help").stdout
    assert text.startswith("Usage: ")
    examples = text.partition("Examples:\n")[2].splitlines()
    assert len(examples) >= 2
    assert all(line.startswith(f"    bench {name}".rstrip()) for line in examples)


def test_examples_name_options_that_there_are(call: Call) -> None:
    for name in COMMANDS:
        text = call(*name.split(), "--help").stdout
        for line in text.partition("Examples:\n")[2].splitlines():
            words = line.partition("|")[0].split()[1:]
            # An option that does not exist is found before --help is.
            call(*words, "--help")


def test_no_command_shows_the_help(call: Call) -> None:
    assert "Usage: " in call(code=2).stderr


def test_unknown_option_is_named(call: Call) -> None:
    assert "No such option: --famly" in call("run", "--famly", "cnn", code=2).stderr


def test_list_names_families_datasets_and_tuners(call: Call) -> None:
    text = call("list").stdout
    assert re.search(r"^families: .*\bcnn, dense\b", text, re.MULTILINE)
    assert "datasets: digits, fashion_mnist, fashion_mnist_12k\n" in text
    assert "tuners: hyperband, random, bayesian, grid\n" in text
    found = json.loads(call("list", "--json").stdout)
    assert found["datasets"] == ["digits", "fashion_mnist", "fashion_mnist_12k"]


def test_family_in_a_folder_on_the_path_is_listed(tmp_path: Path) -> None:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.py").write_text("")
    assert "mine" in run("list", cwd=tmp_path, env=variables(tmp_path)).stdout


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--family", "cn"], r"unknown family 'cn': valid names are .*\bcnn, dense\b.*\. Did you mean cnn\?"),
        (["--family", "Dense"], r"unknown family 'Dense': valid names are .*\. Did you mean dense\?"),
        (["--family", "zzzz"], r"unknown family 'zzzz': valid names are [^.]*$"),
        (["--family", "dense", "--family", "cn"], r"unknown family 'cn'"),
        (
            ["--dataset", "fashion-mnist"],
            r"unknown dataset 'fashion-mnist': valid names are digits, .*\. Did you mean fashion_mnist\?",
        ),
        (
            ["--tuner", "hyper"],
            r"unknown tuner 'hyper': valid names are hyperband, random, bayesian, grid\. Did you mean hyperband\?",
        ),
        (["--trials", "0"], r"trials must be a whole number from 1 to 100000, got 0"),
        (["--epochs", "0"], r"epochs must be a whole number from 1 to 10000, got 0"),
        (["--seed", "-1"], r"seed must be a whole number from 0 to 2147483647, got -1"),
        (["--seeds", "0"], r"seeds must be a whole number from 1 to 1000, got 0"),
        (["--workers", "0"], r"workers must be a whole number from 1 to 1024, got 0"),
        (["--lookahead", "0"], r"lookahead must be a whole number from 1 to 1000, got 0"),
        (["--trials", "many"], r"'--trials': Input should be a valid integer"),
        (["--precision", "float16"], r"'--precision': .*'float16' is not one of 'auto', 'float32', 'bfloat16'"),
    ],
)
def test_impossible_run_is_refused_and_nothing_written(
    arguments: list[str], message: str, tmp_path: Path, call: Call
) -> None:
    family = [] if "--family" in arguments else ["--family", "dense"]
    done = call("run", *family, *arguments, code=2)
    assert re.search(message, done.stderr.strip()), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", ["fetch", "describe"])
def test_unknown_dataset_is_refused_with_the_nearest_match(which: str, tmp_path: Path, call: Call) -> None:
    done = call("data", which, "digit", code=2)
    assert done.stderr == (
        "error: unknown dataset 'digit': valid names are digits, fashion_mnist, fashion_mnist_12k. "
        "Did you mean digits?\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_family_whose_file_is_no_python_is_named(tmp_path: Path) -> None:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "broken.py").write_text("class Broken(:\n")
    done = run("run", "--family", "broken", "--dataset", "digits", cwd=tmp_path, code=2, env=variables(tmp_path))
    assert "error: the file of family 'broken' is no Python: invalid syntax (broken.py, line " in done.stderr


# A results folder that cannot be used is told of before anything is started


def refused_at_once(results: Path, cwd: Path) -> str:
    done = run("run", "--family", "dense", "--dataset", "digits", "--results", results, cwd=cwd, code=2)
    assert "worker processes" not in done.stderr
    return done.stderr


def test_file_in_the_place_of_the_results_folder(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("taken")
    said = refused_at_once(Path("results"), tmp_path)
    assert "error: cannot write results: File exists. Choose a folder that can be written with --results" in said


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_results_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    assert "error: cannot write locked/results: Permission denied" in refused_at_once(Path("locked/results"), tmp_path)


def test_disk_that_is_read_only(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 2, "ro") as disk:
        assert f"error: cannot write {disk}/results: Read-only file system" in refused_at_once(
            disk / "results", tmp_path
        )


def test_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 2) as disk:
        said = refused_at_once(disk / "results", tmp_path)
    assert "small/results has 2.0 MiB free, at least 50 MiB are needed: free space or choose another folder" in said


# What is in a results folder


def test_leaderboard_prints_every_row(results: Path, call: Call) -> None:
    text = call("leaderboard").stdout
    assert re.search(r"^ +1 +cnn +98\.83 \(96\.38 to 99\.63\)", text, re.MULTILINE)
    assert "Not ranked with table 1: budget is 2 trials x 3 epochs here" in text


def test_leaderboard_as_json_has_a_row_for_each_run(results: Path, call: Call) -> None:
    rows = json.loads(call("leaderboard", "--json").stdout)
    assert [(row["family"], row["rank"]) for row in rows] == [("cnn", 1), ("dense", 2), ("dense", None)]


def test_leaderboard_of_an_empty_folder_says_so(tmp_path: Path, call: Call) -> None:
    (tmp_path / "results").mkdir()
    assert call("leaderboard").stdout == "No finished run yet.\n"


@pytest.mark.parametrize("name", ["leaderboard", "report", "runs"])
def test_results_folder_that_is_not_there_is_named(name: str, tmp_path: Path, call: Call) -> None:
    assert "error: there is no results folder elsewhere: " in call(name, "--results", "elsewhere", code=2).stderr
    assert not (tmp_path / "elsewhere").exists()


def test_report_of_unchanged_records_changes_nothing(results: Path, call: Call) -> None:
    before = {name: (results / name).read_bytes() for name in files(results)}
    assert call("report", "--check").stdout == "Every file is what the records give.\n"
    assert call("report").stderr == "0 file(s) written or removed\n"
    assert {name: (results / name).read_bytes() for name in files(results)} == before


def test_changed_page_fails_the_check_and_is_rebuilt(results: Path, call: Call) -> None:
    page = results / "leaderboard.md"
    whole = page.read_bytes()
    page.write_text("better numbers")
    done = call("report", "--check", code=1)
    assert done.stdout == "leaderboard.md differs from what the records give\n1 file(s) differ or are damaged\n"
    assert page.read_text() == "better numbers"
    assert call("report").stdout == "results/leaderboard.md\n"
    assert page.read_bytes() == whole


@pytest.fixture
def damaged(results: Path) -> Path:
    """The results folder with half of the cnn's record."""
    (record,) = results.glob("records/synthetic/cnn-*/record.json")
    record.write_bytes(record.read_bytes()[:500])
    return record


def test_damaged_record_is_named_and_the_others_are_shown(results: Path, damaged: Path, call: Call) -> None:
    name = damaged.relative_to(results)
    text = call("leaderboard").stdout
    assert "94.67 (90.86 to 96.94)" in text
    assert f"Could not be read:\n  {name}: " in text
    done = call("leaderboard", "--json")
    assert [row["family"] for row in json.loads(done.stdout)] == ["dense", "dense"]
    assert f"Could not be read: {name}: " in done.stderr
    assert "cannot be read" in call("runs").stdout
    call("report")
    page = (results / "leaderboard.md").read_text()
    assert name.as_posix() in page
    assert "94.67" in page


def test_record_of_an_unknown_schema_is_named(results: Path, call: Call) -> None:
    (record,) = results.glob("records/synthetic/cnn-*/record.json")
    record.write_text(re.sub(r'"schema": \d,', '"schema": 99,', record.read_text()))
    assert "record.json: schema 99, this version reads 1 to 3: update the suite" in call("leaderboard").stdout


def test_runs_tells_what_cannot_go_on_and_why(results: Path, call: Call) -> None:
    done = call("runs")
    (line,) = [line for line in done.stdout.splitlines() if "unfinished" in line]
    assert "unfinished: 3 trials, 6 epochs of a budget of 12, 1 of 3 refits" in line
    name = line.split()[0]
    assert f"{name} cannot go on: there is no dataset 'synthetic' here" in done.stdout
    assert f"python -m bench runs delete {name} --results results" in done.stdout


def test_runs_as_json_has_the_state_of_each(results: Path, call: Call) -> None:
    states = json.loads(call("runs", "--json").stdout)
    assert [state["finished"] for state in states] == [True, True, True, False]
    assert all(state["disk_bytes"] > 0 for state in states)


def test_deleted_run_is_gone_from_folder_and_report(results: Path, call: Call) -> None:
    (folder,) = results.glob("records/synthetic/cnn-*")
    assert "cannot be undone: confirm with --yes" in call("runs", "delete", folder.name, code=2).stderr
    assert folder.exists()
    assert call("runs", "delete", folder.name, "--yes").stdout == f"deleted {folder.name}\n"
    assert not folder.exists()
    assert "cnn" not in (results / "leaderboard.md").read_text()
    assert not (results / "synthetic/cnn.md").exists()


def test_results_folder_may_stand_before_or_after_delete(results: Path, call: Call) -> None:
    first, second = (folder.name for folder in sorted(results.glob("records/synthetic/*-*"))[:2])
    call("runs", "--results", results, "delete", first, "--yes")
    call("runs", "delete", "--results", results, second, "--yes")
    assert {path.name for path in results.glob("records/synthetic/*-*")}.isdisjoint({first, second})


def test_unknown_run_is_not_deleted(results: Path, call: Call) -> None:
    done = call("runs", "delete", "nothing", "--yes", code=2)
    assert "error: no run 'nothing' in results; runs: cnn-hyperband-" in done.stderr


# Datasets


def test_digits_are_fetched_from_scikit_learn(tmp_path: Path, call: Call) -> None:
    text = call("data", "fetch", "digits").stdout
    assert text.startswith("Digits (scikit-learn): 1,437 images for development, from scikit-learn ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_digits_are_described_with_pictures(tmp_path: Path, call: Call) -> None:
    done = call("data", "describe", "digits")
    for expected in ("8", "uint8", "1,437", "CC BY 4.0", "SHA-256"):
        assert expected in done.stdout
    assert all(path.endswith(".png") for path in files(tmp_path / "results"))
    assert "digits-first.png" in done.stderr
    assert json.loads(call("data", "describe", "digits", "--json").stdout)["licence"].startswith("CC BY 4.0")


# Where the output goes


def test_output_may_be_cut_short_by_its_reader(results: Path) -> None:
    for arguments in (["leaderboard"], ["run", "--help"]):
        with subprocess.Popen(
            command(*arguments),
            cwd=results.parent,
            env=variables(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as started:
            assert started.stdout is not None
            assert started.stderr is not None
            started.stdout.close()
            assert started.stderr.read() == ""
            assert started.wait(30) in (0, 1)


def test_output_that_is_no_terminal_has_no_colours(results: Path) -> None:
    for arguments in (["leaderboard"], ["run", "--family", "cn"]):
        done = subprocess.run(
            command(*arguments), cwd=results.parent, env=variables(), capture_output=True, text=True, check=False
        )
        assert ESCAPE not in done.stdout + done.stderr


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: for us, for the command."""
    pty = pytest.importorskip("pty")
    ours, its = pty.openpty()
    yield ours, its
    os.close(ours)


def test_no_color_is_honoured_on_a_terminal(results: Path, terminal: tuple[int, int]) -> None:
    ours, its = terminal
    done = subprocess.run(
        command("leaderboard"), cwd=results.parent, env=variables(NO_COLOR="1"), stdout=its, stderr=its, check=False
    )
    os.close(its)
    assert done.returncode == 0
    assert b"\x1b[3" not in os.read(ours, 100_000)
