"""One file for each dataset; its name is what --dataset takes. A file name with a leading underscore is not a dataset.

To benchmark your own images, add a file `my_images.py` here (letters, digits and _), with these names in it:

    TITLE: str                            as readers know it, e.g. "My images"
    CLASS_NAMES: tuple[str, ...]          two or more, by label: label 0 is CLASS_NAMES[0]
    LICENCE: str                          of the images, e.g. "CC BY 4.0"
    IMAGE_SHAPE: tuple[int, int, int]     height, width, channels; all images have this shape
    N_TEST: int                           number of images in the test part
    DEFAULT_BUDGET: bench.records.spec.Budget     search budget where the user gives none

    def development(data_dir: Path | None, notify: Notify) -> Part
    def test(data_dir: Path | None, notify: Notify) -> Part

Both functions are called with two positional arguments: the user's folder (--data-dir or BENCH_DATA_DIR, else None),
and a function that takes one line of text for the user, for what lasts longer than a second. Both return (images,
labels, source): images uint8 (n, *IMAGE_SHAPE) with pixels 0 to 255, labels integers (n,), and a few words on where
the bytes came from. They must return the same arrays in the same order on every machine, so that a run can be
repeated: use fixed seeds, sort the names of files, and check the bytes. No image may be in both parts. Raise
`bench.errors.DataError` with what was looked for, where, and what to do. Nothing is read when the file is imported.
`digits.py` is the shortest example, and `bench.data.loaders.idx` reads the IDX format. The tests in
tests/test_data_contract.py take up a new file by themselves.
"""
