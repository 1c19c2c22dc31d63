"""The base class of families: raw pixels in, logits out, shared augmentation and a shared training recipe."""

from abc import abstractmethod
from collections.abc import Mapping

import keras
import keras_tuner
from keras_tuner import HyperParameters

from search_spaces._mirror import AppendMirrorImages, AverageMirrorImages
from search_spaces._recipe import compile_model


class Family(keras_tuner.HyperModel):  # type: ignore[misc]
    """A search space over architectures; subclasses only define `architecture`.

    All families share the hyperparameters `learning_rate` and `horizontal_flips`: random flips in training, and
    features averaged over each image and its mirror image at inference.

    It is a regular Keras Tuner hypermodel: `keras_tuner.RandomSearch(CNN((28, 28, 1), 10), "val_accuracy")` works.

    Args:
        input_shape: (height, width, channels) of one image.
        classes: number of classes, at least 2.
        training_steps: optimizer steps over which the learning rate decays to zero; None keeps it constant.
        multiply_adds: of the largest candidate, per image, for families whose space depends on it; None for their
            default.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        classes: int,
        training_steps: int | None = None,
        multiply_adds: int | None = None,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.classes = classes
        self.training_steps = training_steps
        self.multiply_adds = multiply_adds

    @abstractmethod
    def architecture(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Map images `(batch, *input_shape)`, already scaled to [0, 1], to features `(batch, n)`.

        Declare all hyperparameters in every call, those of optional layers under `hp.conditional_scope`, so that one
        call declares the whole space.
        """

    def shifted(self, hp: HyperParameters, images: keras.KerasTensor) -> keras.KerasTensor:
        """Declare random shifts by at most one pixel, active in training only, for architectures that call this first.

        They suit convolutions; fully connected layers lose accuracy.
        """
        if not hp.Boolean("random_shifts"):
            return images
        height, width, _ = self.input_shape
        shift = keras.layers.RandomTranslation(
            1 / height, 1 / width, fill_mode="constant", interpolation="nearest", name="shift"
        )
        return shift(images)

    def build(self, hp: HyperParameters) -> keras.Model:
        """Build a compiled model from uint8 images (batch, *input_shape) to float32 logits (batch, classes)."""
        pixels = keras.Input(self.input_shape, dtype="uint8", name="pixels")
        images = keras.layers.Rescaling(1 / 255, name="scale")(pixels)
        # Whether flips help depends on the images: they suit clothing, but not digits.
        flips = hp.Boolean("horizontal_flips")
        if flips:
            images = AppendMirrorImages()(keras.layers.RandomFlip("horizontal", name="flip")(images))
        features = self.architecture(hp, images)
        if flips:
            # This averages the logits, too, since they are linear in the features.
            features = AverageMirrorImages()(features)
        logits = keras.layers.Dense(self.classes, dtype="float32", name="logits")(features)
        model = keras.Model(pixels, logits, name=type(self).__name__.lower())
        compile_model(model, hp, self.training_steps)
        return model

    def build_from(self, values: Mapping[str, int | float | str | bool]) -> keras.Model:
        """Build the compiled model of a candidate from its active hyperparameters; others get their defaults."""
        hp = HyperParameters()
        hp.values = dict(values)
        return self.build(hp)

    def space(self) -> HyperParameters:
        """All hyperparameters of the family, including conditional ones."""
        hp = HyperParameters()
        self.build(hp)
        return hp
