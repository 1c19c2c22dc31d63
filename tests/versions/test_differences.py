"""Differences between the configurations of two versions."""

from typing import Any

from bench.versions.differences import config_differences


def test_change_shared_by_several_layers_is_listed_once() -> None:
    def config(dtype: object, axis: int) -> dict[str, Any]:
        return {"cnn": {"layers": {name: {"dtype": dtype, "name": name} for name in "ab"}, "loss": {"axis": axis}}}

    old, new = config("float32", 1), config({"name": "float32"}, 2)
    assert config_differences(old, new) == [
        "dtype: 'float32' to {'name': 'float32'} (2 places)",
        "axis: 1 to 2 (cnn loss)",
    ]


def test_objects_are_shown_as_code() -> None:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    assert config_differences({"cnn": {"dtype": "float32"}}, {"cnn": {"dtype": policy}}) == [
        "value: 'float32' to DTypePolicy(name='float32') (cnn dtype)"
    ]


def test_addresses_of_objects_are_no_differences() -> None:
    old, new = (
        {"build": {"layers": {"a": {"f": f"<function swish at {at}>", "n": n}}}}
        for at, n in (("0x7f1", 1), ("0x9b2", 2))
    )
    assert config_differences(old, new) == ["n: 1 to 2 (build layers a)"]


def test_long_lists_are_truncated() -> None:
    lines = config_differences({}, {str(number): number for number in range(20)})
    assert len(lines) == 13
    assert lines[-1] == "and 8 more"
