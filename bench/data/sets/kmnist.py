"""Kuzushiji-MNIST: 28x28 grayscale images of cursive hiragana (arXiv:1812.01718)."""

from pathlib import Path

from bench.data import DatasetDefinition
from bench.data.loaders import folders, published
from bench.data.loaders.published import Sources, VerifiedFiles

# SHA-256 of the compressed files, as TensorFlow Datasets and torchvision verify them.
FILES = {
    "t10k-labels-idx1-ubyte": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    "train-labels-idx1-ubyte": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    "t10k-images-idx3-ubyte": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    "train-images-idx3-ubyte": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
}
URLS = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/", "https://storage.googleapis.com/kuzushiji-mnist/")


def sources(data_dir: Path | None) -> Sources:
    """The sources of Kuzushiji-MNIST for this machine, `data_dir` first."""
    return Sources(
        title="Kuzushiji-MNIST",
        name="kmnist",
        data_dir=data_dir,
        cache=folders.cache_folder() / "kmnist",
        file_sets=tuple(VerifiedFiles(files=FILES, parse=published.parse_idx, url=url) for url in URLS),
    )


DATASET = DatasetDefinition(
    title="Kuzushiji-MNIST",
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    license="CC BY-SA 4.0 (KMNIST dataset, created by CODH)",
    image_shape=(28, 28, 1),
    n_test=10_000,
    development=lambda access: published.load_development(access, sources(access.data_dir)),
    test=lambda access: published.load_test(access, sources(access.data_dir)),
)
