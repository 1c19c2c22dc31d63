"""Sources of Fashion-MNIST: small files of the same format, folders in tmp_path, a server on this machine."""

import gzip
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench.data import DataAccess, LabeledImages, catalog, development
from bench.data.dataset import Notify, quiet
from bench.data.loaders import fashion_mnist, folders, idx, published
from bench.data.loaders.fashion_mnist import FILES
from bench.data.loaders.published import Sources, VerifiedFiles, load_development, load_test
from bench.errors import DataError
from held_out import access, open_test_set

PACKAGE_FOLDER = "usr/share/datasets/tiny"


def images(*pixels: int) -> bytes:
    """IDX bytes of images of 1 x 1 pixel."""
    return bytes([0, 0, 8, 3, 0, 0, 0, len(pixels), 0, 0, 0, 1, 0, 0, 0, 1, *pixels])


def labels(*values: int) -> bytes:
    return bytes([0, 0, 8, 1, 0, 0, 0, len(values), *values])


CONTENT = {
    "t10k-labels-idx1-ubyte": labels(1),
    "train-labels-idx1-ubyte": labels(0, 1),
    "t10k-images-idx3-ubyte": images(9),
    "train-images-idx3-ubyte": images(7, 8),
}


SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}

# The CSV form: the training images are in reverse order.
CSV = {"fashion-mnist_test.csv": "label,pixel1\n1,9\n", "fashion-mnist_train.csv": "label,pixel1\n1,8\n0,7\n"}
CSV_ROWS = {
    "fashion-mnist_test.csv": hashlib.sha256(bytes([1, 9])).hexdigest(),
    "fashion-mnist_train.csv": hashlib.sha256(bytes([0, 7, 1, 8])).hexdigest(),
}
CSV_RANKS = {"fashion-mnist_test.csv": np.array([0]), "fashion-mnist_train.csv": np.array([0, 1])}


def tiny_files(url: str) -> VerifiedFiles:
    return VerifiedFiles(files=SUMS, parse=published.parse_idx, url=url)


def with_url(sources: Sources, url: str) -> Sources:
    return replace(sources, file_sets=(tiny_files(url),))


def write_csv(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in CSV.items():
        (folder / name).write_text(text)
    return folder


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENT.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return folder


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Sources without files: empty folders, a port without a server, an unknown package."""
    return Sources(
        title="Tiny",
        name="tiny",
        data_dir=None,
        cache=tmp_path / "cache",
        system=tmp_path / "system",
        keras=tmp_path / "keras",
        file_sets=(tiny_files("http://127.0.0.1:9/"), fashion_mnist.CsvFiles(files=CSV_ROWS, ranks=CSV_RANKS)),
        package="dataset-tiny",
        apt_options=(f"Dir::Etc::SourceList={tmp_path / 'none.list'}", f"Dir::Etc::SourceParts={tmp_path / 'none'}"),
    )


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL at which a server on this machine serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def read(sources: Sources, notify: Notify = quiet) -> LabeledImages:
    return load_development(DataAccess(notify=notify), sources)


@pytest.mark.parametrize("place", ["cache", "system", "keras"])
def test_every_folder_is_a_source(sources: Sources, tmp_path: Path, place: str) -> None:
    folder = fill(tmp_path / place)
    pixels, values, source = read(sources)
    assert pixels.tolist() == [[[[7]]], [[[8]]]]
    assert values.tolist() == [0, 1]
    assert str(folder) in source


def test_test_set(sources: Sources, tmp_path: Path) -> None:
    fill(sources.cache)
    pixels, values, _ = load_test(access(tmp_path), sources)
    assert (pixels.tolist(), values.tolist()) == ([[[[9]]]], [1])


def test_sources_have_a_fixed_order(sources: Sources, tmp_path: Path) -> None:
    places = [fill(tmp_path / name) for name in ("mine", "cache", "system", "keras")]
    sources = replace(sources, data_dir=places[0])
    for place in places:
        assert str(place) in read(sources)[2]
        for file in place.iterdir():
            file.unlink()


def test_data_folder_that_does_not_exist_is_refused(sources: Sources, tmp_path: Path) -> None:
    fill(sources.cache)
    with pytest.raises(DataError, match=r"--data-dir or BENCH_DATA_DIR must name a folder, got .*typo"):
        read(replace(sources, data_dir=tmp_path / "typo"))


def test_data_folder_without_all_files_is_named_and_skipped(sources: Sources, tmp_path: Path) -> None:
    fill(sources.cache)
    mine = fill(tmp_path / "mine")
    (mine / "t10k-images-idx3-ubyte.gz").unlink()
    messages: list[str] = []
    read(replace(sources, data_dir=mine), messages.append)
    assert messages == [f"data folder, {mine}: t10k-images-idx3-ubyte missing; trying other sources"]


@pytest.mark.parametrize("name", CONTENT)
def test_damaged_file_is_refused_and_never_skipped(sources: Sources, tmp_path: Path, name: str) -> None:
    fill(tmp_path / "keras")
    damaged = fill(sources.cache) / f"{name}.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(DataError) as caught:
        read(sources)
    for expected in (str(damaged), SUMS[name], "Delete it and run `python -m bench data fetch tiny`"):
        assert expected in str(caught.value)


def test_files_of_another_dataset_in_a_data_folder_need_not_be_deleted(sources: Sources, tmp_path: Path) -> None:
    mine = fill(tmp_path / "mine")
    (mine / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images(7, 9)))
    with pytest.raises(DataError, match=r"Choose the folder of Tiny with --data-dir or BENCH_DATA_DIR, or remove"):
        read(replace(sources, data_dir=mine))


def test_wrong_checksum_is_refused(sources: Sources) -> None:
    fill(sources.cache)
    other = images(7, 9)
    (sources.cache / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(other))
    with pytest.raises(DataError, match=f"found {hashlib.sha256(other).hexdigest()}"):
        read(sources)


def test_error_lists_all_sources_and_remedies(sources: Sources, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    with pytest.raises(DataError) as caught:
        read(replace(sources, data_dir=mine))
    message = str(caught.value)
    for folder in (mine, sources.cache, sources.system, sources.keras):
        assert f"{folder}: " in message
    assert "download from 127.0.0.1: " in message
    assert "Debian package dataset-tiny: " in message
    for remedy in ("apt-get install dataset-tiny", "train-images-idx3-ubyte.gz", "--data-dir", "--dataset digits"):
        assert remedy in message


# The CSV form of Fashion-MNIST


def test_csv_form_has_the_published_order(sources: Sources, tmp_path: Path) -> None:
    sources = replace(sources, data_dir=write_csv(tmp_path / "mine"))
    pixels, values, source = read(sources)
    assert (pixels.tolist(), values.tolist()) == ([[[[7]]], [[[8]]]], [0, 1])
    assert str(tmp_path / "mine") in source
    assert load_test(access(tmp_path), sources)[0].tolist() == [[[[9]]]]


def test_csv_form_with_a_changed_row_is_refused(sources: Sources, tmp_path: Path) -> None:
    mine = write_csv(tmp_path / "mine")
    (mine / "fashion-mnist_train.csv").write_text("label,pixel1\n1,8\n0,6\n")
    with pytest.raises(
        DataError, match=r"train\.csv differs from the published file\. Expected SHA-256 .* sorted rows"
    ):
        read(replace(sources, data_dir=mine))


def test_csv_form_without_the_test_file_is_incomplete(sources: Sources, tmp_path: Path) -> None:
    mine = write_csv(tmp_path / "mine")
    (mine / "fashion-mnist_test.csv").unlink()
    fill(sources.cache)
    messages: list[str] = []
    read(replace(sources, data_dir=mine), messages.append)
    assert messages == [f"data folder, {mine}: fashion-mnist_test.csv missing; trying other sources"]


@pytest.mark.slow
@pytest.mark.long
def test_csv_form_of_the_published_images(tmp_path: Path) -> None:
    here = fashion_mnist.sources(folders.user_folder())
    complete = [folder for folder in here.local_folders.values() if all(idx.find(folder, name) for name in FILES)]
    if not complete:
        pytest.skip("no folder of this machine has Fashion-MNIST: `python -m bench data fetch fashion_mnist` gets it")
    # Rows in another order, as in the published CSV files.
    location = catalog.locate("fashion_mnist", complete[0])
    original = development.load_development(location)
    test = open_test_set("fashion_mnist", tmp_path / "results", complete[0])
    header = ",".join(("label", *(f"pixel{number}" for number in range(1, 785))))
    # Every number with three digits, which is written faster.
    digits = np.frombuffer(b"".join(b"%03d," % number for number in range(256)), np.uint8).reshape(256, 4)
    for name, part in (("test", test), ("train", original)):
        rows = np.column_stack([part.labels.astype(np.uint8), part.images.reshape(len(part), -1)])[::-1]
        fields = digits[rows]
        fields[:, -1, -1] = ord("\n")
        (tmp_path / f"fashion-mnist_{name}.csv").write_bytes(f"{header}\n".encode() + fields.tobytes())
    restored = development.load_development(catalog.locate("fashion_mnist", tmp_path))
    assert restored.checksum == original.checksum
    assert "data folder" in restored.source
    assert open_test_set("fashion_mnist", tmp_path / "results", tmp_path).checksum == test.checksum


# Downloads


def test_download_is_cached(sources: Sources, served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    fill(folder)
    messages: list[str] = []
    assert read(with_url(sources, url), messages.append)[0].size == 2
    assert messages[0] == "downloading t10k-labels-idx1-ubyte.gz from 127.0.0.1"
    assert sorted(file.name for file in sources.cache.iterdir()) == sorted(f"{name}.gz" for name in CONTENT)
    assert load_test(access(tmp_path), sources)[0].size == 1


def test_only_files_missing_from_the_cache_are_downloaded(sources: Sources, served: tuple[Path, str]) -> None:
    folder, url = served
    fill(folder)
    (fill(sources.cache) / "train-images-idx3-ubyte.gz").unlink()
    messages: list[str] = []
    read(with_url(sources, url), messages.append)
    assert messages == ["downloading train-images-idx3-ubyte.gz from 127.0.0.1"]


def test_error_page_of_a_proxy_is_not_cached(sources: Sources, served: tuple[Path, str]) -> None:
    folder, url = served
    (folder / "t10k-labels-idx1-ubyte.gz").write_text("<html>Please log in</html>")
    with pytest.raises(DataError, match=r"the downloaded t10k-labels-idx1-ubyte\.gz differs from the published file"):
        read(with_url(sources, url))
    assert not sources.cache.exists()


def test_cache_that_cannot_be_written_is_named(sources: Sources, served: tuple[Path, str]) -> None:
    folder, url = served
    fill(folder)
    sources.cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot write downloads to .*cache .* XDG_CACHE_HOME"):
        read(with_url(sources, url))


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get on this machine")
def test_package_is_unpacked_into_the_cache(sources: Sources, tmp_path: Path) -> None:
    options = package_repository(tmp_path)
    messages: list[str] = []
    pixels, _, source = read(replace(sources, apt_options=options), messages.append)
    assert pixels.size == 2
    assert str(sources.cache) in source
    assert "downloading the package dataset-tiny with apt-get" in messages
    assert all(idx.find(sources.cache, name) for name in CONTENT)


def package_repository(folder: Path) -> tuple[str, ...]:
    """Make a Debian repository of one package in a folder; returns options that make apt-get read it and no other."""
    fill(folder / "tree" / PACKAGE_FOLDER)
    control = "Package: dataset-tiny\nVersion: 1\nArchitecture: all\nMaintainer: a test <test@example.org>\n"
    (folder / "tree" / "DEBIAN").mkdir(mode=0o755)
    (folder / "tree" / "DEBIAN" / "control").write_text(f"{control}Description: four small files\n")
    repository = folder / "repository"
    repository.mkdir()
    archive = repository / "dataset-tiny_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(folder / "tree"), str(archive)], check=True, capture_output=True)
    content = archive.read_bytes()
    (repository / "Packages").write_text(
        f"{control}Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    )
    listing = folder / "one.list"
    listing.write_text(f"deb [trusted=yes] copy:{repository} ./\n")
    return f"Dir::Etc::SourceList={listing}", f"Dir::Etc::SourceParts={folder / 'none'}"


def test_unreachable_server_is_reported_in_a_few_words(sources: Sources) -> None:
    messages: list[str] = []
    with pytest.raises(DataError):
        read(sources, messages.append)
    assert "download from 127.0.0.1: [Errno 111] Connection refused" in messages


def test_server_without_the_file_is_reported(sources: Sources, served: tuple[Path, str]) -> None:
    with pytest.raises(DataError, match=r"download from 127\.0\.0\.1: 404 Client Error"):
        read(with_url(sources, served[1]))


def test_published_bytes(tmp_path: Path) -> None:
    here = fashion_mnist.sources(folders.user_folder())
    complete = [folder for folder in here.local_folders.values() if all(idx.find(folder, name) for name in FILES)]
    if not complete:
        pytest.skip("no folder of this machine has Fashion-MNIST: `python -m bench data fetch fashion_mnist` gets it")
    # Checksums over the arrays as this suite reads them: a change makes older scores incomparable.
    images = development.load_development(catalog.locate("fashion_mnist", complete[0]))
    assert images.checksum == "1f243a60b4b748a44c48b9a6f6907be2a08bee3e4e226f0e86fbde8e147b745a"
    test = open_test_set("fashion_mnist", tmp_path, complete[0])
    assert test.checksum == "9a494dc49efeb996f4076c469b31cd058152067b1594ba6ab85dd739fce3775e"
    assert images.images.mean() == 72.94035223214286
