"""The precision that a record names is the one that training used."""

import pytest
import tensorflow as tf

from bench.compat.tensorflow import check_bfloat16_active
from bench.errors import CompatibilityError
from bench.machine import supports_bfloat16
from bench.training.precision import prepare_process

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not supports_bfloat16(), reason="this processor has no bfloat16 arithmetic")
def test_precision_is_in_effect_and_can_be_switched_back() -> None:
    prepare_process("bfloat16")
    check_bfloat16_active(expected=True)
    prepare_process("float32")
    check_bfloat16_active(expected=False)


def test_every_task_fails_while_the_graph_optimizer_is_switched_off() -> None:
    prepare_process("float32")
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        for _ in range(2):  # the second time the option is already set
            with pytest.raises(CompatibilityError):
                prepare_process("bfloat16")
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
        prepare_process("float32")
