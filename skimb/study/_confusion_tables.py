"""Confusion matrices as tables of a report; of many classes, the most frequent confusions."""

import numpy as np

from skimb._drawn_text import short_texts
from skimb.study._report_images import matrix_picture

__all__ = ["MOST_COLUMNS", "confusion_view"]

#: Classes of a matrix that is written as a table, at most, and those with fractions in it.
MOST_COLUMNS, FEW_CLASSES = 12, 4

#: Letters of a class over a column and beside a row, at most, and those that need no turned text.
HEAD_WIDTH, SIDE_WIDTH, FLAT_WIDTH = 16, 32, 5

#: Confusions that are listed, at most.
MOST_CONFUSIONS = 12


def confusion_view(matrix, classes):
    """Return a confusion matrix as a template shows it.

    Parameters
    ----------
    matrix : ndarray of shape (n_classes, n_classes)
        Counts, true classes in rows.
    classes : sequence
        The labels.

    Returns
    -------
    dict
        ``rows`` of cells, with the fraction of the true class in each; or where there are many
        classes, ``picture`` and ``confusions``.
    """
    matrix, labels = np.asarray(matrix), [str(label) for label in classes]
    totals = matrix.sum(axis=1)
    fractions = matrix / np.maximum(totals[:, None], 1)
    if len(labels) > MOST_COLUMNS:
        return {
            "rows": None,
            "n_classes": len(labels),
            "picture": matrix_picture(fractions),
            "confusions": _most_frequent(matrix, fractions, labels),
            "n_errors": int(matrix.sum() - np.trace(matrix)),
            "n_images": int(matrix.sum()),
        }
    heads = short_texts(labels, most=HEAD_WIDTH)
    return {
        "heads": heads,
        "is_flat": max(map(len, heads)) <= FLAT_WIDTH or len(labels) <= 2,
        "has_fractions": len(labels) <= FEW_CLASSES,
        "rows": [
            {
                "label": side,
                "cells": [
                    {
                        "count": int(matrix[i, j]),
                        "fraction": float(fractions[i, j]),
                        "is_right": i == j,
                    }
                    for j in range(len(labels))
                ],
            }
            for i, side in enumerate(short_texts(labels, most=SIDE_WIDTH))
        ],
    }


def _most_frequent(matrix, fractions, labels):
    """Return the most frequent confusions, the most frequent first."""
    errors = matrix * (1 - np.eye(len(labels), dtype=int))
    order = np.argsort(-errors, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = zip(*np.unravel_index(order, errors.shape), strict=True)
    return [
        {
            "true": labels[i],
            "predicted": labels[j],
            "count": int(errors[i, j]),
            "fraction": float(fractions[i, j]),
        }
        for i, j in pairs
        if errors[i, j]
    ]
