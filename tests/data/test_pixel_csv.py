"""CSV files of pixels, and errors that name the line and the column."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from bench.data.loaders import pixel_csv
from bench.data.samples import UNCHANGED, Reading, Samples
from bench.errors import DataError
from image_files import csv_rows, write_csv

ROWS = ["1,10,20,30,40", "0,50,60,70,80"]


def read(path: Path, reading: Reading = UNCHANGED) -> Samples:
    return pixel_csv.read(path, reading)


@pytest.mark.parametrize(
    "header",
    [
        "label,pixel1,pixel2,pixel3,pixel4",
        "Label, pixel0, pixel1, pixel2, pixel3",
        "label,1x1,1x2,2x1,2x2",
        '"label","p1","p2","p3","p4"',
        None,
    ],
)
def test_usual_headers(tmp_path: Path, header: str | None) -> None:
    samples = read(write_csv(tmp_path / "a.csv", ROWS, header))
    assert samples.images[..., 0].tolist() == [[[10, 20], [30, 40]], [[50, 60], [70, 80]]]
    assert samples.labels.tolist() == [1, 0]


def test_label_may_be_the_last_column(tmp_path: Path) -> None:
    samples = read(write_csv(tmp_path / "a.csv", ["10,20,30,40,1"], "p1,p2,p3,p4,label"))
    assert (samples.labels.tolist(), samples.images.ravel().tolist()) == ([1], [10, 20, 30, 40])


def test_gzip_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufefflabel,p1,p2,p3,p4\r\n" + "\r\n".join(ROWS) + "\r\n\r\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert read(tmp_path / "a.csv.gz").labels.tolist() == [1, 0]


def test_whole_floats_are_accepted(tmp_path: Path) -> None:
    assert read(write_csv(tmp_path / "a.csv", ["1.0,10.0,2e1,30,40"])).images.ravel().tolist() == [10, 20, 30, 40]


def test_color_and_other_shapes(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["0," + ",".join(map(str, range(12)))], None)
    assert read(path).images.shape == (1, 2, 2, 3)
    assert read(path, Reading(image_size=(3, 4))).images.shape == (1, 3, 4, 1)
    assert read(path).images[0, 0, 1].tolist() == [3, 4, 5]


def test_pieces_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_csv, "CHUNK_VALUES", 15)  # three rows
    samples = read(write_csv(tmp_path / "a.csv", csv_rows(8)))
    assert samples.images[:, 0, 1, 0].tolist() == list(range(8))
    assert samples.labels.dtype == np.int64


def test_pieces_of_larger_images_have_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_csv, "CHUNK_VALUES", 26)
    for columns, expected in ((5, [5]), (13, [2, 2, 1]), (50, [1] * 5)):
        path = write_csv(tmp_path / "a.csv", [",".join(["1"] * columns)] * 5, None)
        names = [str(number) for number in range(columns)]
        assert [len(chunk) for chunk in pixel_csv._chunks(path, names, has_header=False)] == expected


@pytest.mark.parametrize("chunk_values", [10, 25_000])  # 2 or 5,000 rows
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,10,,30,40", r"line 5, column 'pixel2' is missing: fill it"),
        ("1,10,NA,30,40", r"line 5, column 'pixel2' is missing"),
        (",10,20,30,40", r"line 5, column 'label' is missing"),
        ("1,10,20", r"line 5 has 3 values instead of 5"),
        ("1,10,20,30,40,50", r"line 5 has more than 5 columns"),
        ("", r"line 5 is empty: remove it"),
        ("1,10,x,30,40", r"line 5, column 'pixel2' is x: pixels must be whole numbers from 0 to 255"),
        ("1,10,256,30,40", r"line 5, column 'pixel2' is 256: pixels"),
        ("1,10,-1,30,40", r"line 5, column 'pixel2' is -1"),
        ("1,10,2.5,30,40", r"line 5, column 'pixel2' is 2\.5"),
        ("1,10,inf,30,40", r"line 5, column 'pixel2' is inf"),
        ("cat,10,20,30,40", r"line 5, column 'label' is cat: labels must be whole numbers from 0"),
        ("0.5,10,20,30,40", r"line 5, column 'label' is 0\.5: labels"),
        ("-1,10,20,30,40", r"line 5, column 'label' is -1"),
    ],
)
def test_error_names_line_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_values: int, row: str, message: str
) -> None:
    monkeypatch.setattr(pixel_csv, "CHUNK_VALUES", chunk_values)
    path = write_csv(tmp_path / "a.csv", [*csv_rows(3), row, *csv_rows(2)])
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "pixel1,pixel2,pixel3,pixel4,pixel5",
            "line 1: no column `label` in pixel1, pixel2, .*pass the path of their file",
        ),
        ("label,id,p1,p2,p3", "line 1: column 'id' is not a pixel"),
        ("label,class,p1,p2,p3", "line 1: columns label, class"),
        ("label,p1,p1,p2,p3", "line 1: two columns have the same name"),
        ("label;p1;p2;p3;p4", "line 1 has a single column, .*separated by commas"),
    ],
)
def test_invalid_header_is_explained(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write_csv(tmp_path / "a.csv", ROWS, header))


def test_column_numbers_are_no_image(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [",".join(["1"] * 17)], ",".join(map(str, range(17))))
    with pytest.raises(DataError, match=r"line 1 has column numbers 0 to 16 .*header=False, or call the first"):
        read(path)


@pytest.mark.parametrize("has_header", [True, False])
def test_first_line_that_is_too_long_is_named(tmp_path: Path, has_header: bool) -> None:
    rows = ["1,10,20,30,40,50" if has_header else "1,10,20,30,40", "0,10,20,30,40,50"]
    header = "label,p1,p2,p3,p4" if has_header else None
    with pytest.raises(DataError, match=r"line 2 has (more than 5|6) columns"):
        read(write_csv(tmp_path / "a.csv", rows, header))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00,\x01"])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.csv (is empty|is not a text file)"):
        read(tmp_path / "a.csv")


def test_file_with_a_header_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv contains no images"):
        read(write_csv(tmp_path / "a.csv", []))


def test_pixels_of_no_square_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 values per image: expected those of square images"):
        read(write_csv(tmp_path / "a.csv", ["0,1,2,3,4,5"], None))


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(("\n".join(csv_rows(100))).encode())[:-20])
    with pytest.raises(DataError, match=r"a\.csv\.gz cannot be decompressed"):
        read(tmp_path / "a.csv.gz")
