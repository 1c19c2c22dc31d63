"""The facts about a dataset that a record stores."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateCounts:
    """Images that are byte-equal to another one; each is counted once."""

    development: int  # development images that equal an earlier development image
    test: int  # test images that equal an earlier test image
    shared: int  # test images that equal a development image

    @property
    def text(self) -> str:
        """The counts in words."""
        return (
            f"{self.development:,} inside the development images, {self.test:,} inside the test set, {self.shared:,} "
            f"test image{'s equal' if self.shared != 1 else ' equals'} a development image"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """The data of a run: split sizes, image shape, classes and checksum."""

    name: str
    title: str
    checksum: str  # SHA-256 over the development images and labels
    image_shape: tuple[int, int, int]  # height, width, channels
    class_names: tuple[str, ...]
    n_train: int
    n_validation: int
    n_test: int
    duplicates: DuplicateCounts | None = None  # None if not counted, as for built-in datasets

    def differences(self, other: "DatasetFacts") -> str:
        """What differs from the data of `other`, in words; empty if nothing does.

        The title does not count: it is the name of a file or folder, which may have been renamed.
        """
        names = [name for name in self.__slots__ if name != "title" and getattr(self, name) != getattr(other, name)]
        return "; ".join(f"{name} {getattr(self, name)}, recorded {getattr(other, name)}" for name in names)
