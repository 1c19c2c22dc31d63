"""Exceptions in one line."""

import json

import pytest

from bench.training.custom import UnsuitableModelError
from bench.workers.error_text import error_text


def test_place_of_an_error_is_in_the_code_of_the_user_rather_than_in_a_library() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("[")
    place = "test_place_of_an_error_is_in_the_code_of_the_user_rather_than_in_a_library, test_error_text.py:"
    assert f"(in {place}" in error_text(caught.value)


@pytest.mark.slow
def test_place_of_an_error_in_a_compiled_function_is_not_in_generated_code() -> None:
    import tensorflow as tf

    @tf.function  # type: ignore[untyped-decorator]
    def fails() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong") as caught:
        fails()
    assert ", test_error_text.py:" in error_text(caught.value)


def test_error_that_says_what_to_do_needs_no_place_in_the_code() -> None:
    assert error_text(UnsuitableModelError("two outputs:\n return one")) == "two outputs: return one"
