"""Imbalanced data to try things on, made from real images, and folders of images to read."""

from skimb._image_files import read_images
from skimb.datasets._folders import load_image_folder
from skimb.datasets._imbalanced import load_imbalanced_digits, make_long_tailed

__all__ = ["load_image_folder", "load_imbalanced_digits", "make_long_tailed", "read_images"]
