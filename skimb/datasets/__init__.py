"""Imbalanced data to try things on: made from real images, never drawn."""

from skimb.datasets._imbalanced import load_imbalanced_digits, make_long_tailed

__all__ = ["load_imbalanced_digits", "make_long_tailed"]
