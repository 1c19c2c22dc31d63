"""The documentation is true: its commands and scripts run, its links lead somewhere, its numbers are in results/."""

import importlib.util
import re
import shutil
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import bench
from bench.cli.app import app
from bench.versions.page import versions_text
from bench.versions.record import read_all
from bench.versions.series import all_series
from doc_pages import ELSEWHERE, PAGES, ROOT, blocks, clone_to, reader, text_of
from image_files import noise, save

# Languages of blocks that are not run: output, formulas, folder listings, and directives of Sphinx.
SHOWN = {"", "text", "{toctree}", "{eval-rst}"}
PUBLISHED = {  # pages whose commands read the published results, so that they run in a clone
    "README.md",
    "docs/comparisons.md",
    "docs/reports.md",
    "docs/checks.md",
    "docs/versions.md",
}
RUNNING = [
    page
    for page in PAGES
    if any(block.language == "python" or set(block.commands) - set(ELSEWHERE) for block in blocks(page))
]
FOLLOWED = {  # pages that other tests follow
    "docs/extensions.md": "tests/execution/test_extensions.py",
    "docs/python_scripts.md": "tests/api/test_scripts.py",
}
# Pages whose commands take minutes; other tests run similar ones.
LONG = {
    f"docs/{name}.md"
    for name in ("checks", "clusters", "comparisons", "reports", "searches", "tuning_scripts", "use_models")
}
API = "docs/python_api.md"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone."""
    return clone_to(tmp_path_factory.mktemp("docs") / "clone")


def fill_with_own_files(folder: Path) -> None:
    """The files of a reader: photos of two classes, a model to tune, a trained model, and a photo."""
    import keras

    for label, name in enumerate(("dark", "light")):
        for number, pixels in enumerate(noise(20, 40, 30, 3, seed=label)):
            save(folder / "photos" / name / f"{number}.png", pixels // 2 + 127 * label)
    save(folder / "new.jpg", noise(1, 60, 50, 3)[0] // 2)
    (my_model,) = (block.text for block in blocks("docs/own_images_and_models.md") if block.file == "my.py")
    (folder / "my.py").write_text(my_model, encoding="utf-8")
    layers = [keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    model.set_weights([np.tile([-10.0, 10.0], (3, 1)), np.array([15.0, -15.0])])  # dark below a mean of 0.5
    model.save(folder / "mine.keras")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.long] if page in LONG else []) for page in RUNNING if page not in FOLLOWED],
)
def test_commands_and_scripts_run(page: str, clone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    if page in PUBLISHED:
        shutil.copytree(clone, folder)
    else:
        folder.mkdir()
    fill_with_own_files(folder)
    # Small runs must not be taken for the published ones of the same name.
    results = "small" if page in PUBLISHED else None
    with reader(folder, tmp_path / "site", results=results) as following:
        following.follow(page)
    if page == "docs/own_images_and_models.md":
        board = (folder / "results" / "leaderboard.md").read_text()
        assert all(re.search(rf"\| \[?{name}[ \]]", board) for name in ("my", "cnn"))


def test_every_block_is_run() -> None:
    kinds = {(page, block.line, block.language) for page in PAGES for block in blocks(page)}
    unknown = {kind for kind in kinds if kind[2] not in {"console", "sh", "python", "toml", *SHOWN}}
    assert unknown == set()
    assert {page for page, _, language in kinds if language == "toml"} <= set(RUNNING)
    commands = {command for page in PAGES for block in blocks(page) for command in block.commands}
    assert len(commands - set(ELSEWHERE)) > 30


def test_shown_versions_are_the_published_ones() -> None:
    (shown,) = (block.text for block in blocks("docs/versions.md") if block.language == "text")
    printed = versions_text(all_series(read_all(ROOT / "results")[0])).splitlines()
    assert [line for line in shown.splitlines() if line not in printed] == []


def test_commands_that_are_run_elsewhere_are_known_there() -> None:
    places = [*ELSEWHERE.values(), *FOLLOWED.values()]
    assert [place for place in places if not (ROOT / place).is_file()] == []
    assert not any(block.commands for block in blocks("docs/python_scripts.md"))  # its test runs Python blocks only


def test_tox_commands_name_environments() -> None:
    configuration = ConfigParser(interpolation=None)
    configuration.read(ROOT / "tox.ini", encoding="utf-8")
    environments = {section.removeprefix("testenv:") for section in configuration.sections()} | {
        name.strip() for name in configuration["tox"]["env_list"].split(",")
    }
    labels = re.findall(r"^(\w+) =", configuration["tox"]["labels"], re.MULTILINE)
    found = re.findall(r"\btox -(\w) ([\w,-]+)", "\n".join(map(text_of, PAGES)))
    named = [(option, name) for option, names in found for name in names.split(",") if name]
    assert {name for option, name in named if option == "m"} <= set(labels)
    factors = set(re.findall(r"\b(?:tf|keras)\d+", configuration["tox"]["labels"]))
    assert {name.removesuffix("-smoke") for option, name in named if option == "e"} <= environments | factors | {
        "py312-tf221"
    }


def links(page: str) -> list[str]:
    """The local files that a page links to, relative to the checkout."""
    found = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(page))
    folder = (ROOT / page).parent
    return [(folder / link).resolve().relative_to(ROOT).as_posix() for link in found if "://" not in link]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    assert [link for link in links(page) if not (ROOT / link).exists()] == []


def test_every_page_can_be_reached() -> None:
    listed = {"index", *re.findall(r"^\w+$", text_of("docs/index.md"), re.MULTILINE)}
    assert [page for page in PAGES if page.startswith("docs/") and Path(page).stem not in listed] == []


def sphinx_module(name: str) -> Any:
    """An extension of the documentation's build; it imports Sphinx only when Sphinx runs it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "_sphinx" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_has_every_command_and_option() -> None:
    text = sphinx_module("command_line").reference(app, "bench")

    def check(command: Any, path: str) -> None:
        section = text.partition(f"## `{path}`\n")[2].partition("\n## ")[0]
        assert section, path
        for parameter in command.params:
            shown = parameter.opts[0] if parameter.param_type_name == "option" else "Arguments"
            assert getattr(parameter, "hidden", False) or shown in section, (path, parameter.name)
        for name, child in getattr(command, "commands", {}).items():
            check(child, f"{path} {name}")

    check(typer.main.get_command(app), "bench")


def test_python_reference_has_every_function() -> None:
    documented = dict(
        re.findall(r"^## `bench\.(\w+)`\n\n.*?autoapifunction:: (\S+)", text_of(API), re.MULTILINE | re.DOTALL)
    )
    functions = {name: getattr(bench, name) for name in bench.__all__ if name != "__version__"}
    assert documented == {name: f"{each.__module__}.{name}" for name, each in functions.items()}


def test_broken_links_of_built_pages_are_found(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top-1">A</h1><a href="folder/b.html#x">1</a><a href="#top-1">2</a><a href="https://example.org">3</a>'
        '<picture><source srcset="dark.png 2x, light.png"><img src="light.png"></picture><a href="gone.html">4</a>'
    )
    (tmp_path / "folder" / "b.html").write_text('<p id="x">B</p><a href="../index.html#nowhere">5</a>')
    (tmp_path / "light.png").touch()
    assert sphinx_module("links").broken_links(tmp_path) == [
        "folder/b.html: ../index.html#nowhere",
        "index.html: dark.png",
        "index.html: gone.html",
    ]


def test_diagram_shows_the_packages_in_the_order_that_is_enforced() -> None:
    drawn = re.findall(r'class="package"[^>]*>([^<]+)<', (ROOT / "docs" / "architecture.svg").read_text())
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.replace(" : ", " · ") for layer in contracts[0]["layers"] if layer != "__main__"]
    assert drawn == layers


def test_contributing_lists_every_package() -> None:
    listed = set(re.findall(r"^\| `bench/(\w+)", text_of("CONTRIBUTING.md"), re.MULTILINE))
    packages = {folder.parent.name for folder in (ROOT / "bench").glob("*/__init__.py")}
    assert packages == listed - {"machine"}
