"""Names to choose from in specs and options; imports nothing else, so that the command line starts fast."""

from typing import Literal, get_args

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
Preset = Literal["quick", "default", "long"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
Objective = Literal["macro-f1", "balanced-accuracy"]  # besides accuracy, the default, which specs omit
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
ClassWeights = Literal["balanced"]  # inversely proportional to the number of training images of each class
PixelRange = Literal["0-1", "0-255"]
PIXEL_RANGES: tuple[PixelRange, ...] = get_args(PixelRange)
Background = Literal["dark", "light", "mixed"]  # of images
ModelFormat = Literal["keras", "savedmodel", "onnx"]
TableFormat = Literal["csv", "parquet", "json"]
