"""`bench versions`: show records, measure with interpreters that fail."""

import json
from pathlib import Path

import msgspec
import pytest

from bench.versions.record import path_of, read, write
from bench.versions.subjects import ReferenceModels
from builders import make_environment
from command_line import call
from version_records import add_interpreter, make_record, make_starts, table_row

CHECKOUT = Path(__file__).parents[2]


def add_environment(folder: Path, script: str = "echo broken; exit 3", version: str = "2.16") -> tuple[str, ...]:
    """Options to measure with an interpreter that reports what is installed, and runs `script` for everything else."""
    name = f"tf{version.replace('.', '')}"
    installed = folder / f"{name}.json"
    installed.write_bytes(msgspec.json.encode(make_environment(tensorflow=version)))
    add_interpreter(folder / "environments", name, f'[ "$1" = -c ] && exec cat {installed}\n{script}')
    return "--environments", f"{folder}/environments", "--results", f"{folder}/results"


def timing_script(folder: Path) -> str:
    """Shell code that answers a request to time the operations."""
    (folder / "start.json").write_bytes(msgspec.json.encode((make_starts(0.2)[0], {})))
    return f'cp {folder}/start.json "$3"'


def test_show_prints_a_table(tmp_path: Path) -> None:
    write(tmp_path / "results", make_record("tf216", "2.16.2"))
    assert "2.16.2" in call("versions", "show", cwd=tmp_path).stdout


def test_show_prints_json(tmp_path: Path) -> None:
    write(tmp_path / "results", make_record("tf216", "2.16.2"))
    write(tmp_path / "results", make_record("tf217", "2.17.1", accuracy=0.85, seconds=0.2))
    old, new = json.loads(call("versions", "show", "--json", cwd=tmp_path).stdout)
    assert (old["version"], old["models"]["tutorial-cnn"]["verdict"]) == ("tf216", None)
    assert new["tensorflow"] == "2.17.1"
    assert new["models"]["tutorial-cnn"]["test_accuracy"] == pytest.approx(0.851)
    assert new["models"]["tutorial-cnn"]["verdict"] == "worse"
    assert new["models"]["tutorial-cnn"]["change"]["difference"]["mean"] == pytest.approx(-0.05)
    assert new["speed"]["step[cnn]"]["change"]["ratio"] == pytest.approx(2)
    assert new["speed"]["step[cnn]"]["change"]["adjusted_p_value"] < 0.05
    assert new["speed_not_compared"] is new["models"]["tutorial-cnn"]["not_compared"] is None


def test_show_compares_the_newest_version_with_the_oldest(tmp_path: Path) -> None:
    for name, version, seconds in (("tf216", "2.16.2", 0.1), ("tf217", "2.17.1", 0.2), ("tf218", "2.18.1", 0.4)):
        write(tmp_path / "results", make_record(name, version, seconds=seconds))
    assert "2.16.2 to 2.18.1" in call("versions", "show", cwd=tmp_path).stdout
    rows = json.loads(call("versions", "show", "--json", cwd=tmp_path).stdout)
    assert [(row["version"], row["compared_with"]) for row in rows] == [
        ("tf216", None),
        ("tf217", "tf216"),
        ("tf218", "tf217"),
        ("tf218", "tf216"),
    ]
    ratios = [row["speed"]["step[cnn]"]["change"]["ratio"] for row in rows[1:]]
    assert ratios == pytest.approx([2, 2, 4])


def test_show_without_records_names_the_command_to_measure(tmp_path: Path) -> None:
    assert "run `python -m bench versions measure`" in call("versions", "show", cwd=tmp_path).stdout
    elsewhere = call("versions", "show", "--results", "elsewhere", cwd=tmp_path).stdout
    assert "run `python -m bench versions measure --results elsewhere`" in elsewhere
    assert json.loads(call("versions", "show", "--json", cwd=tmp_path).stdout) == []


def test_show_omits_a_damaged_record_and_names_it(tmp_path: Path) -> None:
    for name, version in (("tf216", "2.16.2"), ("tf217", "2.17.1")):
        write(tmp_path / "results", make_record(name, version))
    path_of(tmp_path / "results", "tf216").write_bytes(b"{")
    done = call("versions", "show", cwd=tmp_path)
    assert "2.17.1" in done.stdout
    assert "Could not be read: results/versions/tf216.json" in done.stderr


def test_show_fails_if_all_records_are_damaged(tmp_path: Path) -> None:
    path_of(tmp_path / "results", "tf216").parent.mkdir(parents=True)
    path_of(tmp_path / "results", "tf216").write_bytes(b"{")
    assert "results/versions/tf216.json" in call("versions", "show", cwd=tmp_path, code=2).stderr


def test_measure_requires_a_checkout(tmp_path: Path) -> None:
    assert "run this in a checkout" in call("versions", "measure", cwd=tmp_path, code=2).stderr


def test_failing_version_keeps_its_starts_and_the_page_is_updated(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write(results, make_record("tf216", "2.16"))
    options = add_environment(tmp_path)
    done = call("versions", "measure", *options, "--again", "--seeds", "0", cwd=CHECKOUT, code=2)
    assert "tf216 failed with exit code 3:\nbroken" in done.stderr
    assert read(path_of(results, "tf216")).starts == make_starts(0.1)
    assert "2.16" in table_row((results / "versions.md").read_text(), "2.16")


def test_all_versions_keep_their_starts_if_a_new_one_fails(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write(results, make_record("tf216", "2.16"))
    add_environment(tmp_path, timing_script(tmp_path))
    options = add_environment(tmp_path, version="2.17")
    done = call("versions", "measure", *options, "--again", "--seeds", "0", cwd=CHECKOUT, code=2)
    assert "\nEarlier timings are kept. To resume, repeat the command.\n" in done.stderr
    assert read(path_of(results, "tf216")).starts == make_starts(0.1)


def test_a_version_added_without_again_is_announced_as_not_compared(tmp_path: Path) -> None:
    write(tmp_path / "results", make_record("tf216", "2.16", code=ReferenceModels().code(CHECKOUT)))
    add_environment(tmp_path)
    options = add_environment(tmp_path, timing_script(tmp_path), version="2.17")
    done = call("versions", "measure", *options, "--starts", "4", "--seeds", "0", cwd=CHECKOUT)
    assert "new starts of tf217 are not compared with earlier ones of other versions" in done.stderr
    assert len(read(path_of(tmp_path / "results", "tf217")).starts) == 4


def test_new_starts_are_kept_if_a_later_one_fails(tmp_path: Path) -> None:
    results, timed = tmp_path / "results", timing_script(tmp_path)
    write(results, make_record("tf216", "2.16"))
    write(results, make_record("tf217", "2.17"))
    add_environment(tmp_path, timed)
    once = f"[ -e {tmp_path}/once ] && exit 3; touch {tmp_path}/once; {timed}"
    options = add_environment(tmp_path, once, version="2.17")
    done = call("versions", "measure", *options, "--again", "--seeds", "0", cwd=CHECKOUT, code=2)
    assert "\nCompleted measurements are saved. To resume, repeat the command without --again.\n" in done.stderr
    assert [len(read(path_of(results, name)).starts) for name in ("tf216", "tf217")] == [2, 1]


def test_damaged_record_is_named_once_if_nothing_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "results", make_record("tf216", "2.16", code=ReferenceModels().code(CHECKOUT)))
    path_of(tmp_path / "results", "tf217").write_bytes(b"{")
    done = call("versions", "measure", *add_environment(tmp_path), "--starts", "4", cwd=CHECKOUT)
    assert "All measurements are complete; see " in done.stdout
    assert f"or `python -m bench versions show --results {tmp_path}/results`" in done.stdout
    assert done.stderr.count("Could not be read: ") == 1
