"""Measuring a maintainer's own family across versions, apart from the reference models."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

import search_spaces
from bench.data.catalog import DatasetLocation
from bench.data.samples import Reading
from bench.errors import SpecError
from bench.report.board import Board
from bench.report.pages import leaderboard
from bench.versions import measure as measured
from bench.versions.environments import Interpreter, find, run_python
from bench.versions.measure import Plan, measure
from bench.versions.page import PAGE
from bench.versions.record import ProcessStart, path_of, read, write
from bench.versions.subjects import FamilySubject, ReferenceModels, family_root, measured_families
from command_line import call
from version_records import add_interpreter, make_record

CHECKOUT = Path(__file__).parents[2]
MODELS = Path(__file__).parents[1] / "families" / "plain_models.py"


def subject(text: str = f"net={MODELS}:build_uint8", **changes: Any) -> FamilySubject:
    fields: dict[str, Any] = {
        "family": search_spaces.locate(text),
        "dataset": DatasetLocation("digits"),
        "epochs": 2,
    } | changes
    return FamilySubject(**fields)


def test_records_of_a_family_are_apart_from_those_of_the_reference_models(tmp_path: Path) -> None:
    write(tmp_path, make_record("tf216", "2.16.2"))
    record = make_record("tf216", "2.16.2")
    trained = tuple(replace(results, model="net", dataset="digits") for results in record.trained[:1])
    write(family_root(tmp_path, "net"), replace(record, trained=trained))
    assert measured_families(tmp_path) == ("net",)
    board = Board(results=tmp_path, tables=(), problems=())
    pages = PAGE.files(board)
    assert set(pages) == {"versions.md", "versions-net.md"}
    text = bytes(pages["versions-net.md"]).decode()  # type: ignore[arg-type]
    assert "# TensorFlow and Keras versions: net" in text
    assert "all development images of digits" in text
    assert "net (%)" in text
    assert "[published tutorials]" not in text
    assert "`save` and `load`: a .keras file, optimizer included in the file, but not loaded.\n" in text
    assert "[published tutorials]" in bytes(pages["versions.md"]).decode()  # type: ignore[arg-type]
    board_page = bytes(leaderboard.files(board)["leaderboard.md"]).decode()  # type: ignore[arg-type]
    assert "versions of TensorFlow and Keras](versions.md)" in board_page
    assert "versions of TensorFlow and Keras for net](versions-net.md)" in board_page


def test_show_prints_a_family(tmp_path: Path) -> None:
    record = make_record("tf216", "2.16.2")
    write(family_root(tmp_path / "results", "net"), replace(record, trained=()))
    (row,) = json.loads(call("versions", "show", "--family", "net", "--json", cwd=tmp_path).stdout)
    assert row["version"] == "tf216"
    done = call("versions", "show", "--family", "nat", cwd=tmp_path, code=2)
    assert "unknown measured family 'nat': valid names are net. Did you mean net?" in done.stderr
    done = call("versions", "show", "--family", "net", "--results", "empty", cwd=tmp_path, code=2)
    assert "no family measured in empty: use" in done.stderr


def test_digest_of_the_timed_code_covers_the_family(tmp_path: Path) -> None:
    other = tmp_path / "plain_models.py"
    other.write_text(MODELS.read_text())
    assert subject(f"net={other}:build_uint8").code(CHECKOUT) == subject().code(CHECKOUT)
    other.write_text(MODELS.read_text().replace("[8, 16]", "[8, 32]"))
    assert subject(f"net={other}:build_uint8").code(CHECKOUT) != subject().code(CHECKOUT)
    assert subject().code(CHECKOUT) != ReferenceModels().code(CHECKOUT)
    other_images = DatasetLocation("digits", digest="1" * 64)
    for change in ({"dataset": other_images}, {"dataset": DatasetLocation("mnist")}, {"pixel_range": "0-1"}):
        assert subject(**change).code(CHECKOUT) != subject().code(CHECKOUT)


def test_accuracy_of_an_edited_family_is_not_added_to_its_earlier_speed(tmp_path: Path) -> None:
    record = make_record("tf216", "2.16", trained=())
    write(family_root(tmp_path, "net"), record)
    here = Interpreter(name=record.name, python=Path(sys.executable), environment=record.environment)
    plan = Plan(checkout=CHECKOUT, results=tmp_path, starts=0, seeds=12, subject=subject())
    with pytest.raises(SpecError, match=r"tf216\.json was measured with other code .* use --again to measure it again"):
        measure([here], plan, print)


def test_options_of_the_images_reach_training_and_timing(tmp_path: Path) -> None:
    reading = Reading(image_size=(8, 9), class_names=("no", "yes"))
    photos = DatasetLocation("photos", path=tmp_path, reading=reading, digest="1" * 64)
    own = subject(dataset=photos, pixel_range="0-1")
    training = " ".join(map(str, own.train(0, tmp_path)))
    assert f"--dataset {tmp_path} " in training
    assert training.endswith("--image-size 8x9 --class-names no,yes --pixel-range 0-1")
    assert own.time(tmp_path)[-4:] == (tmp_path, "8x9", "no,yes", "0-1")
    assert subject().time(tmp_path)[-4:] == ("digits", "", "", "")
    assert "--image-size" not in subject().train(0, tmp_path)


def test_options_of_a_family_need_one(tmp_path: Path) -> None:
    done = call("versions", "measure", "--epochs", "3", cwd=CHECKOUT, code=2)
    assert "--class-names and --pixel-range need --family" in done.stderr
    done = call("versions", "measure", "--family", "no.py:build_model", cwd=CHECKOUT, code=2)
    assert "no.py does not exist" in done.stderr


def test_class_names_with_commas_are_refused(tmp_path: Path) -> None:
    images, names = tmp_path / "images.npz", tmp_path / "names.txt"
    np.savez(images, x=np.random.default_rng(1).integers(0, 256, (40, 8, 8), np.uint8), y=np.arange(40) % 2)
    names.write_text("large, wet\nsmall\n")
    options = ("--family", "linear", "--dataset", images, "--class-names", names)
    done = call("versions", "measure", *options, cwd=tmp_path, code=2)
    assert "class names must not contain commas here, got 'large, wet'" in done.stderr


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("text", [f"net={MODELS}:build_own_parts", f"net={MODELS}:INSTANCE", "dense"])
def test_operations_of_a_family_are_timed(text: str, tmp_path: Path) -> None:
    file = tmp_path / "start.json"
    run_python(Path(sys.executable), CHECKOUT, "-m", "bench.versions.family_timing", file, text, "digits")
    start, configs = msgspec.json.decode(file.read_bytes(), type=tuple[ProcessStart, dict[str, object]])
    assert {"build", "first_step", "step", "train_on_batch", "epoch", "save", "load", "predict[call-1]"} <= set(
        start.operations
    )
    assert all(timing.seconds > 0 for timing in start.operations.values())
    assert set(configs) == {"build"}


@pytest.mark.slow
@pytest.mark.parametrize("text", [f"net={MODELS}:build_own_parts", f"net={MODELS}:build_model", "linear"])
def test_building_is_timed_without_clearing_the_session(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.versions.family_timing import load_workload, operations

    task = operations(load_workload(text, "digits"))["build"](tmp_path)
    assert task.setup() == ()
    monkeypatch.delattr("keras.utils.clear_session")  # it collects garbage, which may take longer than building
    assert task.is_valid(task.run())


SEEDS = 3  # of a run, instead of SEEDS_PER_RUN


@pytest.mark.slow
def test_accuracy_of_a_family_is_measured_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("measure", "subjects"):
        monkeypatch.setattr(f"bench.versions.{module}.SEEDS_PER_RUN", SEEDS)
    add_interpreter(tmp_path / "environments", "tf1", f'exec {sys.executable} "$@"')
    here = find(tmp_path / "environments", (), CHECKOUT)
    plan = Plan(checkout=CHECKOUT, results=tmp_path / "results", starts=0, seeds=SEEDS, subject=subject())
    steps: list[str] = []
    measure(here, plan, steps.append)
    assert steps == [f"accuracy, seeds 1 to {SEEDS}: tf1"]
    record = read(path_of(family_root(plan.results, "net"), "tf1"))
    (trained,) = record.trained
    assert (trained.model, trained.dataset, len(trained.seeds)) == ("net", "digits", SEEDS)
    assert 0.2 < trained.bits.mean() < 1
    measure(here, plan, steps.append)
    assert len(steps) == 1
    longer = dataclasses.replace(plan, subject=subject(epochs=3))
    with pytest.raises(SpecError, match="net was trained with other code or on other images"):
        measure(here, longer, steps.append)
    there = [dataclasses.replace(each, results=family_root(plan.results, "net")) for each in (plan, longer)]
    assert [len(measured._finished_runs(each, here[0])) for each in there] == [1, 0]
    assert trained.own is not None
    other = replace(trained, own=replace(trained.own, source="0" * 12))
    write(family_root(plan.results, "net"), replace(record, trained=(other,)))
    for again in (plan, dataclasses.replace(plan, starts=4, seeds=0, again=True)):
        with pytest.raises(SpecError, match="net was trained with other code or on other images"):
            measure(here, again, steps.append)
