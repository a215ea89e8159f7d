"""The inspection of images before a training: copies, leaks, broken files and labels to check."""

from skimb.study._inspect._copies import Pair
from skimb.study._inspect._inspection import Inspection, inspect_images
from skimb.study._inspect._leaks import NearCopies, leak_worth, near_copies_of, near_copies_worth

__all__ = [
    "Inspection",
    "NearCopies",
    "Pair",
    "inspect_images",
    "leak_worth",
    "near_copies_of",
    "near_copies_worth",
]
