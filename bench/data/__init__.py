"""Datasets: definitions, loaders and checksums, the train / validation split, and the held-out test set.

Files that define a dataset import what they need from here; `bench.data.sets` explains the contract.
"""

from bench.data.dataset import DataAccess, LabeledImages
from bench.data.definition import DatasetDefinition
from bench.data.held_out import TestSetAccess

__all__ = ["DataAccess", "DatasetDefinition", "LabeledImages", "TestSetAccess"]
