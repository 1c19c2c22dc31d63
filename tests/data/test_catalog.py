"""Names of datasets and what is said of a wrong one."""

import subprocess
import sys

import pytest

from bench.data import catalog
from bench.errors import SpecError
from bench.records.spec import Budget


def test_names_are_those_of_the_files() -> None:
    assert {"digits", "fashion_mnist"} <= set(catalog.names())
    assert not any(name.startswith("_") for name in catalog.names())


def test_names_imports_no_dataset() -> None:
    code = (
        "import sys; from bench.data import catalog; names = catalog.names(); "
        "print([m for m in sys.modules if m.startswith(('bench.data.sets', 'sklearn', 'keras', 'tensorflow'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("typed", ["fashion-mnist", "Fashion_MNIST", "fashon_mnist"])
def test_unknown_name_is_answered_with_the_nearest(typed: str) -> None:
    with pytest.raises(SpecError, match=r"digits, fashion_mnist, fashion_mnist_12k\. Did you mean fashion_mnist\?"):
        catalog.module(typed)


def test_name_like_no_other_gets_the_valid_names_only() -> None:
    with pytest.raises(SpecError, match=r"valid names are .*fashion_mnist_12k\.$"):
        catalog.module("zzz")


def test_package_file_is_not_a_dataset() -> None:
    with pytest.raises(SpecError):
        catalog.module("__init__")


def test_default_budgets() -> None:
    assert catalog.default_budget("fashion_mnist") == Budget(trials=12, epochs=6)
    assert catalog.default_budget("digits") == Budget(trials=11, epochs=18)
