"""The built-in datasets, one file each; the file name, without `.py`, is the value of --dataset.

Images in common formats need no such file: `--dataset` takes the path of a folder with one folder of images for each
class, an .npz file, CSV or IDX files (`bench.data.loaders.formats`), and `bench.data.catalog.from_arrays` takes arrays.

For anything else, write such a file anywhere and pass its path: `--dataset path/to/my_images.py`. The file name,
without `.py`, is the name of the dataset (letters, digits and _). The file defines one object:

    from bench.data import DataAccess, DatasetDefinition, LabeledImages, TestSetAccess

    def development(access: DataAccess) -> LabeledImages: ...
    def test(access: TestSetAccess) -> LabeledImages: ...

    DATASET = DatasetDefinition(
        title="My images",
        class_names=("cat", "dog"),
        license="CC BY 4.0",
        image_shape=(32, 32, 3),
        n_test=1_000,
        development=development,
        test=test,
    )

`bench.data.definition` explains the fields. An installed package can instead provide the object as an entry point in
the group `keras_family_bench.datasets`.

`access` has `data_dir` (the folder of --data-dir or BENCH_DATA_DIR, else None) and `notify` (takes a one-line message
for the user, before steps longer than a second). Both functions return (images, labels, source): images uint8
(n, *image_shape) with pixels from 0 to 255, integer labels (n,), and where the data comes from, in a few words. They
must return the same arrays in the same order on every machine, so that runs are reproducible: use fixed seeds, sort
file names, verify checksums. No image may be in both sets. Raise `bench.errors.DataError` with what was expected,
where, and what to do. Importing the file must not read any images, and it cannot import other files of its folder.

`digits.py` is the shortest example; `bench.data.loaders.idx` reads the IDX format.
"""
