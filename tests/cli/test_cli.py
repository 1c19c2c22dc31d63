"""Commands that train nothing: help, exit codes, bad input, damaged results, pipes.

Real processes where the process matters; elsewhere the entry point is called, which is ten times faster.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

import bench
from bench.cli.app import app
from bench.cli.catalog import shortened
from bench.cli.execution import execute
from bench.execution.events import RunFailed, RunFinished
from bench.records.store import all_folders
from command_line import Called, command, run, small_disk, variables
from command_line import call as call_in
from image_files import class_folders

GOLDEN = Path(__file__).parents[1] / "golden" / "results"
ESCAPE = "\x1b"


def command_names(command: Any, name: str = "") -> Iterator[str]:
    """The name of a command and of all commands below it."""
    yield name
    for child, below in getattr(command, "commands", {}).items():
        yield from command_names(below, f"{name} {child}".strip())


COMMANDS = list(command_names(typer.main.get_command(app)))
Call = Callable[..., Called]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Call the entry point with some arguments in the folder `tmp_path`."""

    def call(*arguments: object, code: int = 0) -> Called:
        return call_in(*arguments, cwd=tmp_path, code=code)

    return call


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A copy of the sample results."""
    shutil.copytree(GOLDEN, tmp_path / "results")
    return tmp_path / "results"


# Help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples_one_per_line(name: str, call: Call) -> None:
    text = call(*name.split(), "--help").stdout
    assert text.startswith("Usage: ")
    command: Any = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    assert text.endswith(f"\n\n{command.epilog}\n")  # whole, though the text is 80 columns wide
    examples = command.epilog.removeprefix("Examples:\n").splitlines()
    assert len(examples) >= (1 if name == "new-family" else 2)
    assert all(line.startswith(f"  bench {name}".rstrip()) for line in examples)
    assert call(*name.split(), "-h").stdout == text


def test_help_fits_a_terminal_and_groups_the_options_of_a_run(call: Call) -> None:
    for name in COMMANDS:
        text = call(*name.split(), "--help").stdout.partition("Examples:")[0]
        assert max(map(len, text.splitlines())) <= 80
        assert "...." not in text
        assert ">=" not in text
    text = call("run", "--help").stdout
    order = [
        text.index(part)
        for part in (
            "\nOptions:",
            "--family",
            "\nSearch:",
            "--tuner",
            "\nTraining:",
            "\nImages:",
            "\nOutput:",
            "--quiet",
        )
    ]
    assert order == sorted(order)
    assert "[default: one per usable core]" in " ".join(text.split())
    assert "<=" not in text


def test_examples_use_existing_options(call: Call) -> None:
    for name in COMMANDS:
        text = call(*name.split(), "--help").stdout
        for line in text.partition("Examples:\n")[2].splitlines():
            words = line.partition("|")[0].split()[1:]
            # An unknown option is an error even before --help.
            call(*words, "--help")


def test_help_lists_the_exit_codes_of_interrupted_commands(call: Call) -> None:
    # 128 plus the number of the signal: a closed terminal, Ctrl-C, SIGTERM
    assert "129, 130 and 143 interrupted." in " ".join(call("--help").stdout.split())


def test_version_is_printed(call: Call) -> None:
    assert call("--version").stdout == f"{bench.__version__}\n"


def test_no_command_prints_the_help(call: Call) -> None:
    assert "Usage: " in call(code=2).stderr


def test_unknown_option_is_named(call: Call) -> None:
    done = call("run", "--famly", "cnn", code=2)
    assert done.stderr == "error: no such option: --famly (Possible options: --family)\nSee: bench run --help\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["leaderbord"], "error: no such command 'leaderbord'. Did you mean 'leaderboard'?\nSee: bench --help\n"),
        (["predict", "cnn"], "error: missing argument 'IMAGE'\nSee: bench predict --help\n"),
        (
            ["export", "cnn"],
            "error: missing option '--format'. Choose from: keras, savedmodel, onnx\nSee: bench export -",
        ),
        (
            ["run", "--trials", "x"],
            "error: invalid value for '--trials': must be a whole number\nSee: bench run --help",
        ),
        (["plan", "--detect", "x"], "error: invalid value for '--detect': must be a number\nSee: bench plan --help\n"),
        (["runs", "delete"], "error: missing argument 'RUN'\nSee: bench runs delete --help\n"),
        (["run", "--family"], "error: option '--family' requires an argument\n"),
        (
            ["run", "--preset", "fast"],
            "error: invalid value for '--preset': 'fast' is not one of 'quick', 'default', 'long'\nSee: bench run -",
        ),
        (
            ["run", "--trials", "0"],
            "error: invalid value for '--trials': must be greater than or equal to 1\nSee: bench run --help\n",
        ),
        (["run", "--family", "cnn", "--no-estimate"], "error: --no-estimate needs --dry-run\n"),
        (
            ["run", "--family", "cnn", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"],
            "error: --workers is for processes on this machine, --scheduler for those of a cluster: choose one\n",
        ),
        (["reproduce", "--quiet", "--verbose", "--dataset", "digits"], "error: --quiet and --verbose: choose one\n"),
        (["show", "cnn"], "error: there is no results folder results: "),
    ],
)
def test_errors_of_any_kind_have_one_style(arguments: list[str], message: str, call: Call) -> None:
    assert call(*arguments, code=2).stderr.startswith(message)


def test_run_without_a_family_lists_the_families_with_a_line_on_each(call: Call) -> None:
    lines = call("run", code=2).stderr.splitlines()
    assert lines[0] == "error: --family is missing: choose one or more of these, or all"
    assert (
        "  cnn     Blocks of convolutions, max pooling and batch normalization, then one fully connected layer" in lines
    )


def test_plan_of_all_families_is_printed_without_timing_or_importing_tensorflow(tmp_path: Path, call: Call) -> None:
    before = set(sys.modules)
    text = call("run", "--family", "all", "--dataset", "digits", "--dry-run", "--no-estimate").stdout
    assert "cnn on digits, hyperband, " in text
    assert (
        "  search: up to 1,200 epochs, equivalent to 30 trials of 40 epochs\n  refits: 5 seeds, 40 epochs each\n"
        in text
    )
    text = call("run", "--family", "cnn", "--dataset", "fashion_mnist_12k", "--dry-run", "--no-estimate").stdout
    assert (
        "cnn on fashion_mnist_12k, preset default\n"
        "  trials and epochs depend on the cost of its models: omit --no-estimate" in text
    )
    once = call(
        *("run", "--family", "cnn", "--dataset", "digits", "--trials", "1", "--epochs", "1", "--refit-seeds", "1"),
        *("--dry-run", "--no-estimate"),
    ).stdout
    assert "search: up to 1 epoch, equivalent to 1 trial of 1 epoch\n  refits: 1 seed, 1 epoch each\n" in once
    limited = call("run", "--family", "cnn", "--dataset", "digits", "--time-limit", "10m", "--dry-run", "--no-estimate")
    assert "epochs each\n  time limit: 10:00, which may end the search earlier\n" in limited.stdout
    assert list(tmp_path.iterdir()) == []
    assert not {"tensorflow", "keras"} & (set(sys.modules) - before)


# Completion


def completions(words: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("_BENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"bench {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    return call().stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --family ", {"all", "cnn", "dense"}),
        ("check-family ", {"cnn", "dense"}),
        ("versions measure --family ", {"cnn", "dense"}),
        ("run --dataset fa", {"fashion_mnist", "fashion_mnist_12k"}),
        ("plan --dataset fa", {"fashion_mnist", "fashion_mnist_12k"}),
        ("versions measure --dataset fa", {"fashion_mnist", "fashion_mnist_12k"}),
        ("run --tuner r", {"random"}),
        ("reproduce tutorial-c", {"tutorial-cnn"}),
        ("lea", {"leaderboard"}),
        ("show cn", {"cnn", "cnn-hyperband-"}),
        ("runs delete cn", {"cnn-hyperband-"}),
        ("resume cn", {"cnn-hyperband-"}),
    ],
)
@pytest.mark.usefixtures("results")
def test_shell_completes_names(words: str, expected: set[str], call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    completed = completions(words, call, monkeypatch)
    assert all(any(each.startswith(name) for each in completed) for name in expected), completed
    assert ("cnn" in completed) == ("cnn" in expected)


def test_shell_completes_runs_and_their_models_only(results: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = (folder.path for folder in all_folders(results) if folder.run_id == "dense-random-8510e80bc9")
    shutil.rmtree(first)  # only -repeat2 is left of its model
    runs = [folder.run_id for folder in all_folders(results)]
    assert "dense-random-8510e80bc9-repeat2" in runs
    assert sorted(completions("resume ", call, monkeypatch)) == sorted(runs)
    assert set(completions("show ", call, monkeypatch)) == {"cnn", "dense", "tutorial-linear", *runs}


@pytest.mark.parametrize(
    "words", ["runs --results elsewhere delete ", "runs delete --results elsewhere ", "show --results elsewhere "]
)
def test_shell_completes_runs_of_the_named_results_folder(
    words: str, results: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.rename(results.with_name("elsewhere"))
    assert "dense-random-8510e80bc9" in completions(words, call, monkeypatch)


def test_list_describes_families_datasets_tuners_and_reference_models_in_a_line_each(call: Call) -> None:
    text = call("list").stdout
    for line in (
        "families:",
        "  dense   One to three fully connected layers on the flattened image",
        "  digits             Handwritten digits, 8x8, included in scikit-learn; needs no download",
        "  grid       Grid search: every candidate of a finite space, trained to full length",
        "  tutorial-dense-128            One hidden layer of 128 units; softmax, batches of 32, 10 epochs",
        "  baseline-majority             Always the most frequent class",
    ):
        assert line in text.splitlines()
    as_json = json.loads(call("list", "--json").stdout)
    assert as_json["datasets"] == ["cifar10", "digits", "fashion_mnist", "fashion_mnist_12k", "kmnist", "mnist"]
    assert as_json["reference_models"][-1] == "baseline-random-forest"


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (None, "Blocks of convolutions, max pooling (2x2, or none)"),
        (50, "Blocks of convolutions, max pooling (2x2, or none)"),
        (49, "Blocks of convolutions, max pooling"),
        (35, "Blocks of convolutions, max pooling"),
        (34, "Blocks of convolutions"),
        (21, "Blocks of convolut..."),
    ],
)
def test_description_that_is_too_long_for_the_terminal_ends_at_a_punctuation_mark(
    length: int | None, expected: str
) -> None:
    assert shortened("Blocks of convolutions, max pooling (2x2, or none)", length) == expected


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--family", "cn"],
            r"unknown family 'cn', and no .*: valid names are .*\bcnn, dense\b.*\. Did you mean cnn\?",
        ),
        (["--family", "Dense"], r"unknown family 'Dense', and no .*: valid names are .*\. Did you mean dense\?"),
        (["--family", "zzzz"], r"unknown family 'zzzz', and no such file exists: valid names are [^.]*$"),
        (["--family", "dense", "--family", "cn"], r"unknown family 'cn'"),
        (
            ["--dataset", "fashion-mnist"],
            r"unknown dataset 'fashion-mnist', and no such path exists: valid .*\. Did you mean fashion_mnist\?",
        ),
        (
            ["--tuner", "hyper"],
            r"unknown tuner 'hyper': valid names are bayesian, default, .*, tpe\. Did you mean hyperband\?",
        ),
        (["--epochs", "0"], r"'--epochs': must be greater than or equal to 1"),
        (["--seed", "-1"], r"'--seed': must be greater than or equal to 0"),
        (["--refit-seeds", "1001"], r"'--refit-seeds': must be less than or equal to 1000"),
        (["--workers", "0"], r"'--workers': must be greater than or equal to 1"),
        (["--max-pending", "0"], r"'--max-pending': must be greater than or equal to 1"),
        (["--searches", "0"], r"'--searches': must be greater than or equal to 1"),
        (
            ["--time-limit", "soon"],
            r"'--time-limit': expected a positive duration such as 90s, 10m or 1h30m, got 'soon'",
        ),
        (["--trial-timeout", "0s"], r"'--trial-timeout': expected a positive duration .*, got '0s'"),
        (["--scheduler", "here"], r"--scheduler must be an address such as tcp://127\.0\.0\.1:8786, got 'here'"),
        (["--dataset", "missing.py"], r"missing\.py does not exist"),
        (["--dataset", "./photos"], r"photos does not exist: expected the name of a dataset, or the path of images"),
        (
            ["--dataset", "digits", "--image-size", "8x8"],
            r"--image-size and --class-names are for images given by path",
        ),
        (
            ["--image-size", "big"],
            r"'--image-size': expected height and width from 1 to 4096, such as 32x32, got 'big'",
        ),
        (["--precision", "float16"], r"'--precision': .*'float16' is not one of 'auto', 'float32', 'bfloat16'"),
    ],
)
def test_impossible_run_is_refused_and_nothing_is_written(
    arguments: list[str], message: str, tmp_path: Path, call: Call
) -> None:
    family = [] if "--family" in arguments else ["--family", "dense"]
    done = call("run", *family, *arguments, code=2)
    assert re.search(message, done.stderr.strip()), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", ["fetch", "describe"])
def test_unknown_dataset_is_refused_with_the_nearest_match(which: str, tmp_path: Path, call: Call) -> None:
    done = call("data", which, "digit", code=2)
    assert re.fullmatch(
        r"error: unknown dataset 'digit', and no such path exists: valid names are cifar10, digits, .*\. "
        r"Did you mean digits\?\n",
        done.stderr,
    )
    assert list(tmp_path.iterdir()) == []


def test_folder_is_not_a_family(tmp_path: Path, call: Call) -> None:
    (tmp_path / "mine").mkdir()
    done = call("run", "--family", "mine", code=2)
    assert "unknown family 'mine': valid names are " in done.stderr
    assert ". mine/ is a folder: name a file and an object in it, such as mine/my.py:build_model" in done.stderr


def test_family_whose_file_is_not_python_is_named(tmp_path: Path, call: Call) -> None:
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "broken.py").write_text("class Broken(:\n")
    done = call("run", "--family", "broken", "--dataset", "digits", code=2)
    assert "error: the file of family 'broken' is not valid Python: invalid syntax (broken.py, line " in done.stderr


# An unusable results folder is reported before any process is started


def refused_at_once(results: Path, cwd: Path) -> str:
    done = run("run", "--family", "dense", "--dataset", "digits", "--results", results, cwd=cwd, code=2)
    assert "worker processes" not in done.stderr
    return done.stderr


def test_file_in_place_of_the_results_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("taken")
    output = refused_at_once(Path("results"), tmp_path)
    assert "error: expected a results folder, found the file results: choose a folder with --results" in output


@pytest.mark.parametrize("words", ["leaderboard", "data describe digits", "runs migrate", "runs delete x --yes"])
def test_empty_path_of_the_results_folder_is_an_error(words: str, tmp_path: Path, call: Call) -> None:
    output = call(*words.split(), "--results", "", code=2).stderr
    assert "expected a folder, got an empty string" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        pytest.param(("leaderboard",), marks=pytest.mark.slow),
        pytest.param(("leaderboard", "--json"), marks=pytest.mark.slow),
    ],
)
def test_full_output_device_is_an_error_without_a_traceback(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "bench", *arguments]
        ended = subprocess.run(command, cwd=GOLDEN.parent, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "error: cannot write output: no space left on device\n"


@pytest.mark.skipif(os.getuid() == 0, reason="root can write anywhere")
def test_read_only_results_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    assert "error: cannot write locked/results: Permission denied" in refused_at_once(Path("locked/results"), tmp_path)


def test_read_only_disk_is_an_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "2m", "ro") as disk:
        assert f"error: cannot write {disk}/results: Read-only file system" in refused_at_once(
            disk / "results", tmp_path
        )


def test_full_disk_is_an_error(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "2m") as disk:
        output = refused_at_once(disk / "results", tmp_path)
    assert "small/results has 2.0 MiB of free space, at least 50 MiB are required: free up space, or choose" in output


# The content of a results folder


def test_leaderboard_ranks_tuned_and_reference_models_in_80_columns(results: Path, call: Call) -> None:
    lines = call("leaderboard").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    # 98.83% with the limits 96.18% and 99.65%.
    assert "   1  cnn                          98.83 -2.66/+0.82      -   2.50k        21" in lines
    assert "   -  tutorial-linear              90.00 -5.10/+3.51  -8.83   2.50k        21" in lines
    assert sum("tutorial-linear" in line for line in lines) == 1
    text = " ".join(" ".join(lines).split())
    assert "Not ranked with the first table: budget is 6 epochs (equivalent to 2 trials of 3 epochs) here" in text


def test_wide_leaderboard_is_the_same_table_with_more_columns(results: Path, call: Call) -> None:
    text = call("leaderboard", "--wide").stdout
    assert max(map(len, text.splitlines())) <= 200
    assert re.search(r"^ +1 +cnn +tuned +98\.83 \(96\.18 to 99\.65\) .* 98\.00 \(Square\) +0\.3793", text, re.MULTILINE)
    assert re.search(r"^ +- +tutorial-linear +published tutorial .* -8\.83 \(-12\.80 to -4\.87\)", text, re.MULTILINE)
    assert re.search(r"dense-8510e8 \(reproduction\) .* not tested ", text)
    assert text.count("\n----") == call("leaderboard").stdout.count("\n----") == 2  # one table for each budget
    first_row = next(line for line in text.splitlines() if " cnn " in line)
    assert not first_row.endswith(" 3"), "the number of trials does not fit into the lines of this table"
    assert re.search(r"core-seconds +trials$", text, re.MULTILINE)
    markdown = call("leaderboard", "--wide", "--format", "md").stdout
    assert len(re.findall(r"core-seconds \| +trials \|$", markdown, re.MULTILINE)) == 2


def test_column_that_the_wide_leaderboard_is_sorted_by_is_among_those_that_fit(results: Path, call: Call) -> None:
    heading = call("leaderboard", "--wide", "--sort", "core-seconds").stdout.partition("\n----")[0]
    assert re.search(r"prediction +core-seconds +seeds", heading)
    assert re.search(r"prediction +Brier +seeds", call("leaderboard", "--wide", "--sort", "brier-score").stdout)


def test_leaderboard_is_sorted_by_a_column_which_it_shows(results: Path, call: Call) -> None:
    text = call("leaderboard", "--sort", "model").stdout
    assert text.index("cnn ") < text.index("dense-8510e8 ") < text.index("tutorial-linear ")
    text = call("leaderboard", "--sort", "log-loss").stdout
    assert re.search(r"cnn .* 0\.3793$", text, re.MULTILINE)
    assert (
        "error: unknown column 'f1': valid names are accuracy, model, parameters, "
        in call("leaderboard", "--sort", "f1", code=2).stderr
    )


def test_leaderboard_in_other_formats(results: Path, call: Call) -> None:
    header, *rows = call("leaderboard", "--format", "csv", "--sort", "model").stdout.splitlines()
    assert header.startswith("dataset,table,rank,")
    assert len(rows) == len(json.loads(call("leaderboard", "--format", "json").stdout))
    assert "|      1 | cnn  " in call("leaderboard", "--format", "md").stdout
    assert "choose one" in call("leaderboard", "--format", "csv", "--json", code=2).stderr


def test_leaderboard_as_json_has_a_row_for_each_run(results: Path, call: Call) -> None:
    rows = json.loads(call("leaderboard", "--json").stdout)
    assert [(row["model"], row["rank"]) for row in rows[:2]] == [("cnn", 1), ("dense", 2)]
    assert {(row["model"], row["rank"]) for row in rows[2:]} == {("dense", None), ("tutorial-linear", None)}


def test_leaderboard_of_unreadable_runs_only_fails(results: Path, call: Call) -> None:
    for record in results.rglob("record.json"):
        record.write_text("{")
    assert "Could not be read:\n  records/synthetic/" in call("leaderboard", code=2).stdout
    assert json.loads(call("leaderboard", "--json", code=2).stdout) == []


def test_leaderboard_of_an_empty_folder_says_so(tmp_path: Path, call: Call) -> None:
    (tmp_path / "results").mkdir()
    assert call("leaderboard").stdout == "No finished run yet.\n"


@pytest.mark.parametrize("name", ["leaderboard", "report", "runs", "resume"])
def test_missing_results_folder_is_named(name: str, tmp_path: Path, call: Call) -> None:
    assert "error: there is no results folder elsewhere: " in call(name, "--results", "elsewhere", code=2).stderr
    assert not (tmp_path / "elsewhere").exists()


def test_changed_page_fails_the_check_and_is_rebuilt(results: Path, call: Call) -> None:
    page = results / "leaderboard.md"
    original = page.read_bytes()
    page.write_text("better numbers")
    done = call("report", "--check", code=1)
    assert done.stdout == "leaderboard.md is out of date\n1 problem\n"
    assert page.read_text() == "better numbers"
    assert call("report").stdout == "results/leaderboard.md\n"
    assert page.read_bytes() == original
    assert call("report", "--check").stdout == "All pages are up to date.\n"
    assert call("report").stderr == "Generating the pages of results\n0 files written or removed\n"


def test_report_writes_html_pages_and_names_the_first(tmp_path: Path, call: Call) -> None:
    (tmp_path / "results").mkdir()
    assert call("report", "--html").stdout.splitlines()[-1] == "results/html/index.html"
    assert (tmp_path / "results" / "html" / "index.html").is_file()


def test_stored_code_is_shown_as_text_code_and_json(results: Path, call: Call) -> None:
    (stored,) = (json.loads(path.read_text()) for path in results.rglob("plain_keras.json"))
    assert stored["code"] in call("show", "dense-8510e8").stdout
    assert call("show", "dense-8510e8", "--code").stdout == stored["code"]
    shown = json.loads(call("show", "dense-8510e8", "--json").stdout)
    assert (shown["code"], shown["recipe"], shown["no_code"]) == (stored["code"], stored["recipe"], None)
    assert "choose one" in call("show", "dense-8510e8", "--code", "--json", code=2).stderr


@pytest.fixture
def damaged(results: Path) -> Path:
    """The record of the cnn, cut in half."""
    (record,) = results.glob("records/synthetic/cnn-*/record.json")
    record.write_bytes(record.read_bytes()[:500])
    return record


def test_damaged_record_is_named_and_the_others_are_shown(results: Path, damaged: Path, call: Call) -> None:
    name = damaged.relative_to(results)
    text = call("leaderboard").stdout
    assert "94.67 -4.04/+2.36" in text
    assert f"Could not be read:\n  {name}: " in text
    done = call("leaderboard", "--json")
    assert {row["model"] for row in json.loads(done.stdout)} == {"dense", "tutorial-linear"}
    assert f"Could not be read: {name}: " in done.stderr
    assert "unreadable: " in call("runs").stdout
    call("report")
    page = (results / "leaderboard.md").read_text()
    assert name.as_posix() in page
    assert "94.67" in page


def test_damaged_record_is_named_after_training(
    results: Path, damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = [folder for folder in all_folders(results) if folder.finished and folder.record_file != damaged]
    execute(lambda _: (RunFinished(folder=finished[0], trained=True),), "training", results, quiet=True)
    assert f"Could not be read: {damaged.relative_to(results)}: " in capsys.readouterr().err


def test_pages_are_up_to_date_after_an_interruption_or_a_failure(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> NoReturn:
        raise KeyboardInterrupt

    page = results / "leaderboard.md"
    page.unlink()
    with pytest.raises(typer.Exit):
        execute(interrupt, "training", results, quiet=True)
    assert capsys.readouterr().err == "Interrupted; repeat the command to continue.\n"
    assert page.exists()
    page.unlink()
    failed = RunFailed(folder=next(all_folders(results)), reason="it failed")
    assert execute(lambda _: (failed,), "training", results, quiet=True) == ["it failed"]
    assert page.exists()


def test_runs_says_which_run_cannot_be_resumed_and_why(results: Path, call: Call) -> None:
    done = call("runs")
    (line,) = [line for line in done.stdout.splitlines() if "unfinished" in line]
    assert "unfinished: 3 trials, 6 of 12 epochs, 1 of 3 refits" in line
    name = line.split()[0]
    assert f"{name} cannot be resumed: unknown dataset 'synthetic'" in done.stdout
    assert f"python -m bench runs delete {name}\n" in done.stdout


def test_runs_as_json_has_the_state_of_each(results: Path, call: Call) -> None:
    states = json.loads(call("runs", "--json").stdout)
    assert sorted(state["finished"] for state in states) == [False, *[True] * (len(states) - 1)]
    assert all(state["disk_bytes"] > 0 for state in states)


def test_json_of_runs_is_for_the_list_only(results: Path, call: Call) -> None:
    done = call("runs", "--json", "migrate", code=2)
    assert done.stderr == "error: --json is for the list of runs, not for migrate: remove it\n"


def test_results_option_can_precede_or_follow_delete(call: Call) -> None:
    for arguments in (("--results", "elsewhere", "delete"), ("delete", "--results", "elsewhere")):
        done = call("runs", *arguments, "nothing", "--yes", code=2)
        assert "no run 'nothing' in elsewhere; existing runs: none" in done.stderr


def test_nothing_to_resume_is_not_an_error(tmp_path: Path, call: Call) -> None:
    (tmp_path / "results").mkdir()
    assert call("resume").stdout == "Nothing to resume: results has no unfinished run.\n"


def test_group_of_reference_models_is_named_after_its_kind(call: Call) -> None:
    assert "valid names are tutorials, classifiers, all, " in call("reproduce", "classifier", code=2).stderr


def test_resume_names_what_cannot_be_resumed(results: Path, call: Call) -> None:
    (name,) = [state["run_id"] for state in json.loads(call("runs", "--json").stdout) if not state["finished"]]
    done = call("resume", code=2)
    assert done.stderr.startswith(f"error: {name} cannot be resumed: unknown dataset 'synthetic'")


def test_run_of_another_process_is_not_offered_for_resuming(results: Path, call: Call) -> None:
    (folder,) = (folder for folder in all_folders(results) if not folder.finished)
    with folder.lock():
        listed, refused = call("runs").stdout, call("resume", code=2).stderr
    assert listed.endswith(f"\n\n{folder.run_id} is running.\n")
    assert refused == f"error: {folder.run_id} cannot be resumed: another process is working on it\n"


def test_resume_of_an_unknown_or_complete_run_lists_the_unfinished_ones(results: Path, call: Call) -> None:
    (complete,) = (path.name for path in results.glob("records/synthetic/cnn-*"))
    for name, state in (("nothing", "does not exist in results"), (complete, "is already complete")):
        message = rf"error: run '{name}' {state}; unfinished runs: dense-random-\w+\n"
        assert re.search(message, call("resume", name, code=2).stderr)


# Datasets


def test_digits_are_fetched_from_scikit_learn(tmp_path: Path, call: Call) -> None:
    text = call("data", "fetch", "digits").stdout
    assert text.startswith("Digits (scikit-learn): 1,437 development images from scikit-learn ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_digits_are_described_with_figures(tmp_path: Path, call: Call) -> None:
    done = call("data", "describe", "digits")
    for expected in ("8", "uint8", "1,437", "CC BY 4.0", "SHA-256"):
        assert expected in done.stdout
    assert {path.suffix for path in (tmp_path / "results").rglob("*") if path.is_file()} == {".png"}
    assert "digits-first.png" in done.stderr
    assert json.loads(call("data", "describe", "digits", "--json").stdout)["license"].startswith("CC BY 4.0")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images by class, next to an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return class_folders(tmp_path / "photos")


def test_folder_of_images_is_described_with_figures(photos: Path, call: Call) -> None:
    shutil.copy(photos / "cat" / "000.png", photos / "cat" / "copy.png")
    done = call("data", "describe", "photos")
    for expected in ("6 x 6 x 1 uint8", "images, held out", "SHA-256", "not stated", "split off by this suite"):
        assert expected in done.stdout
    assert re.search(
        r"exact duplicates +[01] inside the development images, [01] inside the test set, 0 test", done.stdout
    )
    assert re.search(r"0 +cat", done.stdout)
    assert "reading " in done.stderr
    for name in ("first", "classes", "image"):
        assert (photos.parent / "results" / "photos" / "samples" / f"photos-{name}.png").read_bytes()[1:4] == b"PNG"


def test_options_of_images_by_path(photos: Path, call: Call) -> None:
    (photos.parent / "names.txt").write_text("Katze\nHund\n")
    for names in ("Katze, Hund", "names.txt"):
        done = call("data", "describe", "photos", "--image-size", "4x5", "--class-names", names, "--json")
        described = json.loads(done.stdout)
        assert described["image_shape"] == [4, 5, 1]
        assert [each["name"] for each in described["classes"]] == ["Katze", "Hund"]
        assert described["duplicates"] == {"development": 0, "test": 0, "shared": 0}
    refused = call("data", "describe", "photos", "--data-dir", ".", code=2).stderr
    assert refused == "error: --data-dir is for datasets given by name, not for the images at photos: remove it\n"


def test_quiet_hides_the_import_of_images(photos: Path, call: Call) -> None:
    command = ("run", "--family", "dense", "--dataset", "photos", *("--trials", "1", "--epochs", "1"))
    done = call(*command, "--dry-run", "--no-estimate", "--quiet")
    assert "dense on photos, " in done.stdout
    assert done.stderr == ""


def test_folder_of_images_is_fetched_into_the_cache(photos: Path, call: Call) -> None:
    text = call("data", "fetch", "photos").stdout
    assert text.startswith("photos: 16 development images from ")
    assert "reading" not in call("data", "fetch", "./photos").stderr


def test_invalid_folder_of_images_is_an_error_in_one_message(photos: Path, call: Call) -> None:
    (photos / "dog" / "x.png").write_bytes(b"x")
    done = call("run", "--family", "dense", "--dataset", "photos", code=2)
    assert re.fullmatch(r"reading .*photos\nerror: .*dog/x\.png cannot be read as an image: .*\n", done.stderr)
    assert not (photos.parent / "results").exists()


# Output


@pytest.mark.slow
def test_closed_pipe_is_not_an_error(results: Path) -> None:
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


def test_output_to_a_file_has_no_colors(results: Path, call: Call) -> None:
    for done in (call("leaderboard"), call("run", "--family", "cn", code=2)):
        assert ESCAPE not in done.stdout + done.stderr


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: that of the test and that of the command."""
    pty = pytest.importorskip("pty")
    ours, its = pty.openpty()
    yield ours, its
    os.close(ours)


@pytest.mark.parametrize(
    ("answer", "code", "message"), [(b"n\n", 0, "Nothing deleted.\n"), (b"\x04", 130, "\naborted\n")]
)
def test_run_is_not_deleted_without_a_yes(
    answer: bytes,
    code: int,
    message: str,
    *,
    results: Path,
    call: Call,
    terminal: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = next(all_folders(results))
    ours, its = terminal
    os.write(ours, answer)
    with os.fdopen(its, encoding="utf-8") as stdin, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        done = call("runs", "delete", folder.run_id, code=code)
    assert done.stderr == message
    assert folder.path.exists()


@pytest.mark.slow
def test_no_color_is_respected_on_a_terminal(results: Path, terminal: tuple[int, int]) -> None:
    ours, its = terminal
    done = subprocess.run(
        command("leaderboard"), cwd=results.parent, env=variables(NO_COLOR="1"), stdout=its, stderr=its, check=False
    )
    os.close(its)
    assert done.returncode == 0
    assert b"\x1b[3" not in os.read(ours, 100_000)
