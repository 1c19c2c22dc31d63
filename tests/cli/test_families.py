"""bench new-family and check-family: the template, and what a check reports."""

import json
from pathlib import Path

import pytest

from command_line import call, training_here
from image_files import announced_digits


def test_template_is_a_family_with_a_digest(tmp_path: Path) -> None:
    done = call("new-family", "my_net", cwd=tmp_path)
    assert "bench check-family my_net" in done.stdout
    text = (tmp_path / "search_spaces" / "my_net.py").read_text()
    assert "class MyNet(Family):" in text
    assert "$" not in text
    compile(text, "my_net.py", "exec")
    assert "my_net" in json.loads(call("list", "--json", cwd=tmp_path).stdout)["families"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-net", "must consist of lower-case letters"),
        ("Net", "must consist"),
        ("2net", "start with a letter, got '2net'"),
        ("cnn", "there is a family 'cnn' already"),
        ("all", "--family all means every family"),
    ],
)
def test_invalid_name_writes_nothing(name: str, message: str, tmp_path: Path) -> None:
    assert message in call("new-family", name, cwd=tmp_path, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_existing_family_is_not_overwritten(tmp_path: Path) -> None:
    call("new-family", "mine", cwd=tmp_path)
    path = tmp_path / "search_spaces" / "mine.py"
    path.write_text("# changed\n")
    assert "already" in call("new-family", "mine", cwd=tmp_path, code=2).stderr
    assert path.read_text() == "# changed\n"


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "search_spaces").write_text("a file")
    message = "cannot write search_spaces/mine.py: File exists. Run the command in another folder"
    assert message in call("new-family", "mine", cwd=tmp_path, code=2).stderr


# Before the tests with `here`, since a forked worker finds only families in folders that exist when its server starts.
@pytest.mark.slow
def test_template_passes_the_check_and_trains(tmp_path: Path) -> None:
    call("new-family", "mine", cwd=tmp_path)
    check = ("check-family", "mine", "--dataset", "digits", "--candidates", "4", "--workers", "1")
    budget = ("--tuner", "random", "--trials", "1", "--epochs", "1", "--refit-seeds", "1", "--workers", "1")
    with training_here(tmp_path):
        text = call(*check, cwd=tmp_path).stdout
        assert "mine" in call("run", "--family", "mine", "--dataset", "digits", *budget, cwd=tmp_path).stdout
    assert "mine on digits: 4 of " in text
    assert "0 failed" in text
    assert "milliseconds per step: " in text


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_check_reports_failures_costs_and_coverage_as_json(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text(
        "import keras\n\nprint(keras.__version__)\ndef build_model(hp):\n"
        "    units = hp.Choice('units', [8, 16, 2048, 4096])\n"
        "    if hp.Boolean('broken'):\n        raise ValueError('it is broken')\n"
        "    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(units, 'relu'),\n"
        "                              keras.layers.Dense(10, 'softmax')])\n"
        "    model.compile('adam', 'sparse_categorical_crossentropy')\n    model.summary()\n    return model\n"
    )
    done = call(
        "check-family", "half.py:build_model", "--dataset", "digits", "--json", "--workers", "1", cwd=tmp_path, code=1
    )
    checked = json.loads(done.stdout)
    assert (checked["family"], checked["size"], checked["checked"]) == ("half", 8, 8)
    (failure,) = checked["failures"]
    assert failure["candidates"] == 4
    assert failure["example"]["broken"] is True
    assert "ValueError: it is broken (in build_model, half.py:7)" in failure["reason"]
    # 64 x 4,096 + 4,096 + 4,096 x 10 + 10
    assert checked["costs"]["parameters"]["high"] == 307_210
    assert checked["own_recipe"]["own_fit"] is False
    assert [each["preset"] for each in checked["coverage"]] == ["quick", "default", "long"]
    assert {each["share"] for each in checked["coverage"]} == {1.0}


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_check_shows_the_download_of_images(tmp_path: Path) -> None:
    dataset = announced_digits(tmp_path / "announced.py")
    done = call("check-family", "tiny", "--dataset", dataset, "--candidates", "2", "--workers", "1", cwd=tmp_path)
    assert "loading digits" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_check_of_a_family_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    (tmp_path / "never.py").write_text("def build_model(hp):\n    raise ValueError('no')\n")
    done = call("check-family", "never.py:build_model", "--dataset", "digits", cwd=tmp_path, code=2)
    assert (
        "family 'never' (never.py:build_model) cannot be built for digits: ValueError: no (in build_model, "
        in done.stderr
    )


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_error_of_keras_in_training_names_family_and_step(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import keras\n\n\nclass Wrong(keras.Sequential):\n"
        "    def train_step(self, data):\n        return keras.ops.reshape(data[0], (3, 5))\n\n\n"
        "def build_model(hp):\n"
        "    model = Wrong([keras.layers.Flatten(), keras.layers.Dense(10, 'softmax')])\n"
        "    model.compile(hp.Choice('optimizer', ['sgd', 'adam']), 'sparse_categorical_crossentropy')\n"
        "    return model\n"
    )
    done = call("check-family", "mine.py:build_model", "--dataset", "digits", "--workers", "1", cwd=tmp_path, code=1)
    assert "(in train_step, mine.py:6, while training mine.py:build_model)" in done.stdout
