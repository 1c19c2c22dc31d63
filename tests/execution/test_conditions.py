"""Whether a run may start here."""

import pytest

from bench.errors import SearchError
from bench.execution.compatibility import check_versions
from builders import make_environment


def test_versions_that_were_tried_are_taken() -> None:
    check_versions(make_environment(tensorflow="2.16.2", keras="3.1.1"))
    check_versions(make_environment(tensorflow="2.22.0.dev20260101", keras="4.0.0"))


@pytest.mark.parametrize(
    ("name", "version"), [("tensorflow", "2.15.1"), ("keras", "2.15.0"), ("keras_tuner", "missing")]
)
def test_older_and_missing_libraries_are_refused(name: str, version: str) -> None:
    with pytest.raises(
        SearchError, match=f"or newer is needed, here it is {version}: `pip install --upgrade {name[:5]}"
    ):
        check_versions(make_environment(**{name: version}))
