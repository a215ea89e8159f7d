"""What copies of training images in a test set are worth: figures with them and without them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skimb._drawn_text import visible_text
from skimb.study._inspect._copies import find_copies
from skimb.study._inspect._samples import read_samples

__all__ = ["NearCopies", "leak_worth", "near_copies_of", "near_copies_worth"]


def near_copies_of(X: Any, X_test: Any) -> NDArray[np.bool_]:
    """Return which test images have a copy or near copy among training images.

    Parameters
    ----------
    X, X_test : array-like of images or paths

    Returns
    -------
    ndarray of bool of shape (n_test,)

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import near_copies_of
    >>> images = np.random.RandomState(0).randint(256, size=(12, 16, 16), dtype=np.uint8)
    >>> X, X_test = images[:10], np.stack([images[3][::-1], images[11]])
    >>> near_copies_of(X, X_test).tolist()
    [True, False]
    """
    samples = read_samples(X, None, X_test, None)
    groups = find_copies(samples).groups
    return np.isin(groups[samples.n_train :], groups[: samples.n_train])


def leak_worth(
    y_true: ArrayLike, y_pred: ArrayLike, is_copy: ArrayLike, *, minority: Any
) -> dict[str, Any]:
    """Return minority F1 and balanced accuracy with and without test images that have copies.

    The other test images are not a random part of all: the figures without copies are those to
    expect on new images only so far as the others are like new images.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_test,)
        Labels, and predicted labels.
    is_copy : array-like of bool of shape (n_test,)
        Whether each test image has a copy in the training set.
    minority : label
        The minority class.

    Returns
    -------
    dict
        ``n_copies``, ``f1_minority`` and ``balanced_accuracy``, each with the pair of values "with"
        and "without"; a value is None where it is not defined.

    Raises
    ------
    ValueError
        If lengths differ.

    Examples
    --------
    >>> from skimb.study import leak_worth
    >>> found = leak_worth([1, 1, 0, 0], [1, 0, 0, 0], [True, False, False, False], minority=1)
    >>> found["f1_minority"]
    {'with': 0.6666666666666666, 'without': 0.0}
    """
    y_true, y_pred, is_copy = np.asarray(y_true), np.asarray(y_pred), np.asarray(is_copy, bool)
    if not len(y_true) == len(y_pred) == len(is_copy):
        raise ValueError(
            f"`y_true`, `y_pred` and `is_copy` must be of one length. Got {len(y_true)}, "
            f"{len(y_pred)} and {len(is_copy)}."
        )
    whole, rest = (_figures(y_true[rows], y_pred[rows], minority) for rows in (..., ~is_copy))
    return {
        "n_copies": int(is_copy.sum()),
        "n_test": len(y_true),
        **{name: {"with": whole[name], "without": rest[name]} for name in whole},
    }


def _figures(y_true, y_pred, minority):
    is_minority, is_called = y_true == minority, y_pred == minority
    both = int(np.sum(is_minority) + np.sum(is_called))
    recalls = [float(np.mean(y_pred[y_true == label] == label)) for label in np.unique(y_true)]
    return {
        "f1_minority": None
        if not is_minority.any()
        else float(2 * np.sum(is_minority & is_called) / both),
        "balanced_accuracy": float(np.mean(recalls)) if recalls else None,
    }


class NearCopies:
    """Test images that are copies of training images, and what they are worth.

    Parameters
    ----------
    n_copies, n_test : int
    strategies : dict of str to dict
        Strategy to minority F1 and balanced accuracy, means over the runs, with and without the
        copies.

    Examples
    --------
    >>> from skimb.study import NearCopies
    >>> print(NearCopies(0, 40, {}))
    None of the 40 test images equals a training image or is similar to one.
    """

    def __init__(self, n_copies, n_test, strategies):
        self.n_copies, self.n_test, self.strategies = n_copies, n_test, strategies

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects, for the JSON file of a comparison."""
        return {"n_copies": self.n_copies, "n_test": self.n_test, "strategies": self.strategies}

    @property
    def sentence(self) -> str:
        """How many test images are known from training: a str."""
        if not self.n_copies:
            return (
                f"None of the {self.n_test} test images equals a training image or is similar to "
                "one."
            )
        is_one = self.n_copies == 1
        return (
            f"{self.n_copies} of {self.n_test} test images {'equals' if is_one else 'equal'} a "
            f"training image or {'is' if is_one else 'are'} similar to one."
        )

    def __str__(self) -> str:
        """Return the figures with and without copies, a line a strategy."""
        first = self.sentence
        if not self.n_copies:
            return first
        pairs = [figures["f1_minority"] for figures in self.strategies.values()]
        if pairs and all(_is_same(pair["without"], pair["with"]) for pair in pairs):
            return f"{first} Minority F1 of all strategies is the same without them."
        lines = [f"{first} Minority F1 without them, and with them:"]
        for name, figures in self.strategies.items():
            pair = figures["f1_minority"]
            without, whole = (
                "not defined" if pair[key] is None else f"{pair[key]:.3f}"
                for key in ("without", "with")
            )
            lines.append(f"  {visible_text(name)}: {without}, not {whole}")
        return "\n".join(lines)


def _is_same(one, other):
    """Tell whether two scores are written with the same three decimals."""
    return one is not None and other is not None and f"{one:.3f}" == f"{other:.3f}"


def near_copies_worth(comparison: Any, is_copy: Any) -> NearCopies:
    """Return what copies in the fixed test set of a comparison are worth.

    The figures are computed from the decisions that the comparison kept: nothing is trained.

    Parameters
    ----------
    comparison : Comparison
        With a fixed test set.
    is_copy : ndarray of bool of shape (n_test,)
        Whether each test image has a copy in the training set, as `near_copies_of` tells.

    Returns
    -------
    NearCopies

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.study import compare, near_copies_worth
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> coin = DummyClassifier(strategy="uniform")
    >>> own = {"coin": coin, "first": DummyClassifier()}
    >>> tested = {"X_test": X[:90], "y_test": y[:90]}
    >>> result = compare(X[90:], y[90:], strategies=own, random_state=0, **tested)
    >>> near_copies_worth(result, np.arange(90) < 37).n_copies
    37
    """
    strategies = {}
    for name in comparison.strategies:
        runs = [
            leak_worth(
                comparison.classes[found.truth],
                comparison.classes[found.predicted],
                is_copy[found.rows],
                minority=comparison.minority,
            )
            for found in comparison.predictions(name)
        ]
        strategies[name] = {
            measure: {side: _mean([run[measure][side] for run in runs]) for side in sides}
            for measure, sides in (
                ("f1_minority", ("with", "without")),
                ("balanced_accuracy", ("with", "without")),
            )
        }
    return NearCopies(int(np.sum(is_copy)), len(is_copy), strategies)


def _mean(values):
    return None if None in values else float(np.mean(values))
