"""All HTML pages of a results folder, and the files that they need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath

from bench.records.files import write_atomic, writing
from bench.report.build import build
from bench.report.figures.picture import Picture, dark, stored_digest
from bench.report.html.body import CONTENT_ID, DARK, Body, body, html_name
from bench.report.html.navigation import Group, groups
from bench.report.markdown import environment
from bench.report.ranking import leaderboard

FOLDER = "html"
INDEX = "index.html"
GENERATOR = b'<meta name="generator" content="keras-family-bench">'  # in every page, so that stale ones are found
ASSETS = ("style.css", "script.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Files by path; a picture is drawn when its content is asked for."""

    results: Path
    files: Mapping[str, bytes | Path | Picture]
    navigation: tuple[Group, ...]

    def content(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            KeyError: there is no such file.
            OSError: a file of the results folder was deleted.
        """
        file = self.files[name]
        if isinstance(file, Picture):
            path = self.results / name
            return path.read_bytes() if file.is_at(path) else file.png()
        return file.read_bytes() if isinstance(file, Path) else file


def site(results: Path, extra: Mapping[str, Body] | None = None) -> Site:
    """The site of a results folder; `extra` pages, by path, come first in its navigation.

    It has every generated page, all Markdown pages of the results folder that they link to, and the pictures and other
    files of all these. Nothing refers to a file outside the site.
    """
    generated = build(leaderboard(results))
    records = results / "records"

    def exists(name: str) -> bool:
        path = results / name
        inside = not name.startswith("..") and records not in path.parents
        return name in generated or (inside and path.is_file())

    def has_dark(name: str) -> bool:
        return isinstance(picture := generated.get(name), Picture) and picture.keep_colors

    bodies: dict[str, Body] = {}
    files: dict[str, bytes | Path | Picture] = {}
    waiting = [name for name in generated if name.endswith(".md")]
    while waiting:
        name = waiting.pop(0)
        content = generated.get(name)
        if not name.endswith(".md"):
            files[name] = content if content is not None else results / name
            if isinstance(content, Picture) and content.keep_colors:
                files[name.removesuffix(".png") + DARK] = dark(content)
        elif name not in bodies:
            text = content if isinstance(content, bytes) else (results / name).read_bytes()
            bodies[name] = body(name, _without_mark(text.decode()), exists, has_dark)
            waiting += bodies[name].targets
    pages = {**(extra or {}), **{html_name(name): page for name, page in bodies.items()}}
    navigation = groups({name: page.title for name, page in pages.items()})
    made = {name: page_html(name, page, navigation) for name, page in pages.items()}
    assets = {name: package_files(__package__).joinpath("assets", name).read_bytes() for name in ASSETS}
    return Site(results=results, files={**made, **assets, **files}, navigation=navigation)


def write_html(results: Path) -> Path:
    """Write the site into FOLDER, remove its stale files, and return the path of its first page.

    Raises:
        StoreError: a file cannot be written or removed.
    """
    made, folder = site(results), results / FOLDER
    for name, file in made.files.items():
        path = folder / name
        if isinstance(file, Picture) and file.is_at(path):
            continue
        content = made.content(name)
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)
    for path in folder.rglob("*"):
        if path.relative_to(folder).as_posix() not in made.files and _is_generated(path):
            with writing(path):
                path.unlink()
    return folder / INDEX


def _is_generated(path: Path) -> bool:
    if path.suffix == ".html":
        return GENERATOR in path.read_bytes()
    return path.suffix == ".png" and stored_digest(path) is not None


def _without_mark(text: str) -> str:
    """Without the first line of a generated page."""
    return text.partition("\n")[2] if text.startswith("<!--") else text


def page_html(name: str, page: Body, navigation: Sequence[Group]) -> bytes:
    """A page in the template; `name` is the path of its file."""
    template = environment(escape=True).get_template("page.html.j2")
    return template.render(
        name=name,
        page=page,
        content_id=CONTENT_ID,
        navigation=navigation,
        root="../" * (len(PurePosixPath(name).parts) - 1),
        generator=GENERATOR.decode(),
    ).encode()
