"""Labels to look at first, by networks that did not see them."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skimb._image_files import as_paths, is_paths, read_images
from skimb._params import safe_indexing

__all__ = ["MOST_DOUBTFUL", "doubtful_labels"]

#: Labels of each class that are listed at most.
MOST_DOUBTFUL = 12

#: Side that files are resized to, and folds.
SIDE, N_FOLDS = 32, 3


def doubtful_labels(X, samples, groups, *, estimator=None, random_state=None):
    """Rank the training images of each class by how much they look like another class.

    Networks are trained on the other folds, with copies in one fold, and their probabilities are
    those for classes of equal size: otherwise every image of the minority class would seem common.

    Parameters
    ----------
    X : array-like of n images or paths
        Training images.
    samples : Samples
    groups : ndarray of int
        The group of each image, training images first.
    estimator : classifier, default=None
        None: a small ``CNNClassifier``.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    list of dict
        File, label, the class that it looks like, and both probabilities; the most doubtful first.
        A class with fewer than six images has none.
    """
    from skimb.neural_network import CNNClassifier

    rows = np.array([row for row in samples.readable if row < samples.n_train])
    y = np.asarray(samples.labels)[rows]
    classes, counts = np.unique(y, return_counts=True)
    rows = rows[np.isin(y, classes[counts >= 2 * N_FOLDS])]
    y = np.asarray(samples.labels)[rows]
    if len(np.unique(y)) < 2:
        return []
    if is_paths(X):
        images = read_images(as_paths(X)[rows], image_shape=(3, SIDE, SIDE))
    else:
        images = safe_indexing(X, rows)
    if estimator is None:
        estimator = CNNClassifier(random_state=random_state, target_prior="uniform")
    proba = np.full((len(rows), len(np.unique(y))), np.nan)
    numbers = groups[rows]
    shared = len(np.unique(numbers)) < len(numbers)
    kind = StratifiedGroupKFold if shared else StratifiedKFold
    folds = kind(N_FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(rows, y, numbers if shared else None):
        if len(np.unique(y[train])) < proba.shape[1]:
            continue
        with warnings.catch_warnings():
            # The networks rank labels and nothing else: nobody has to train them longer.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = clone(estimator).fit(safe_indexing(images, train), y[train])
        proba[test] = fitted.predict_proba(safe_indexing(images, test))
    labels = np.unique(y)
    own = np.searchsorted(labels, y)
    given = proba[np.arange(len(y)), own]
    others = proba.copy()
    others[np.arange(len(y)), own] = -1
    found = []
    for k in range(len(labels)):
        members = np.flatnonzero((own == k) & np.isfinite(given))
        ranked = members[np.argsort(given[members], kind="stable")]
        for i in ranked[:MOST_DOUBTFUL]:
            other = int(others[i].argmax())
            if others[i, other] <= given[i]:
                break
            found.append(
                {
                    "file": samples.names[rows[i]],
                    "row": int(rows[i]),
                    "label": labels[k].item(),
                    "looks_like": labels[other].item(),
                    "probability_of_label": float(given[i]),
                    "probability_of_other": float(others[i, other]),
                }
            )
    return sorted(found, key=lambda one: one["probability_of_label"])
