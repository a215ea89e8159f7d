"""Imbalanced data for experiments, and readers of image folders."""

from skimb._dataset_images import DatasetImages
from skimb._image_files import read_images
from skimb._image_source import ImageSource
from skimb._stored_arrays import StoredImages
from skimb.datasets._folders import load_image_folder
from skimb.datasets._imbalanced import load_imbalanced_digits, make_long_tailed
from skimb.datasets._noise import make_variance_images

__all__ = [
    "DatasetImages",
    "ImageSource",
    "StoredImages",
    "load_image_folder",
    "load_imbalanced_digits",
    "make_long_tailed",
    "make_variance_images",
    "read_images",
]
