"""Which unlabelled samples to label next: those around the threshold of each class."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._frames import with_any_text
from skimb._messages import counted, shown
from skimb._unpacking import plain_vector
from skimb.study._diverse_choice import budgets_of, choose_around
from skimb.study._pool_scores import n_samples_of, pool_scores
from skimb.study._separation import log_margins, separation_threshold
from skimb.study._suggestions import Suggestions, threshold_in_words, value_in_words

__all__ = ["suggest", "suggestions_of"]

#: A class with fewer labelled samples than this keeps the threshold of the classifier.
LEAST_LABELLED = 5

#: Samples nearer than this part of the typical distance from the mean are nearly equal.
NEARLY_EQUAL = 0.02


def suggest(
    classifier: Any,
    X_pool: Any,
    *,
    n: int = 40,
    X: Any = None,
    y: ArrayLike | None = None,
    random_state: Any = None,
) -> Suggestions:
    """Choose the unlabelled samples whose labels would help a classifier most.

    Each class asks for as many samples as any other, however rare it is; of two classes, the rarer
    one asks for all, because the question of the other is the same. A class asks for those around
    the threshold that separates it from the rest: as many on its own side as on the other, and
    among the nearest ones those that differ most in the embedding of the classifier. Copies and
    nearly equal samples are asked about once.

    Parameters
    ----------
    classifier : estimator
        A fitted classifier with `predict_proba`. It, or the classifier in it where it is a
        Pipeline, wrapper or search, may have a method `embed`, as `CNNClassifier` has; otherwise
        its probabilities tell how much samples differ.
    X_pool : array-like of n_pool images, paths or rows
        Samples without labels. Paths whose files are broken are listed in `errors`.
    n : int, default=40
        How many samples to choose. Fewer are chosen if the pool has no more that differ.
    X : array-like of n_samples images, paths or rows, default=None
        Labelled samples, by which the thresholds are found: best are those that the classifier was
        not trained on. Those that it was trained on rarely move a threshold, since among thresholds
        with equal errors the classifier's own is taken. Samples of the pool that are among them are
        never chosen. Their classes should be as frequent as in the pool, or nearly so. None: the
        thresholds are those of the classifier's own decisions.
    y : array-like of shape (n_samples,), default=None
        Their labels.
    random_state : int, RandomState or None, default=None
        Draws the order of samples that are equally near to a threshold.

    Returns
    -------
    Suggestions
        Its `table` has one row a chosen sample, in the order of importance.

    Raises
    ------
    ValueError
        If the classifier is not fitted or has no `predict_proba`, `n` is no positive integer, the
        pool is empty or no file of it can be read, or X and y do not belong together.

    References
    ----------
    S. Nuggehalli, J. Zhang, L. Jain and R. Nowak, "DIRECT: Deep active learning under imbalance
    and label noise", arXiv:2312.09196. This is its batch form, in one round; the embedding, and the
    equal number of samples on both sides, are choices of skimb.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.study import suggest
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> X = X.reshape(len(X), -1)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X[:300], y[:300])
    >>> found = suggest(classifier, X[300:], n=4, random_state=0)
    >>> len(found.table), found.table["class"].unique().tolist()
    (4, [1])
    """
    _check(classifier, X_pool, n, X, y)
    if y is not None:
        y = _known_labels(classifier, X, y)
    pool = pool_scores(classifier, X_pool)
    labelled = None if X is None else pool_scores(classifier, X)
    counts = None if y is None else _counts(y, pool.classes)
    return suggestions_of(
        pool,
        n=n,
        labelled=labelled,
        y=y,
        counts=counts if counts is not None else _training_counts(classifier, pool.classes),
        images=X_pool,
        random_state=random_state,
    )


def suggestions_of(
    pool: Any,
    *,
    n: int,
    labelled: Any = None,
    y: Any = None,
    counts: Any = None,
    images: Any = None,
    random_state: Any = None,
    shape: Any = None,
) -> Suggestions:
    """Choose samples of a pool that is scored already.

    Parameters
    ----------
    pool : PoolScores
    n : int
    labelled : PoolScores, default=None
        Labelled samples.
    y : ndarray of shape (n_samples,), default=None
        Their labels, also of those that could not be read.
    counts : ndarray of shape (n_classes,), default=None
        Samples of each class, which tell the rarest; None: the decisions of the pool are counted.
    images : array-like, default=None
        All samples of the pool, for a contact sheet.
    random_state : int, RandomState or None, default=None
    shape : dict, default=None
        ``image_shape`` and ``channels`` of the images.

    Returns
    -------
    Suggestions

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import PoolScores, suggestions_of
    >>> proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> pool = PoolScores(np.array([0, 1]), np.arange(3), proba, proba.argmax(axis=1), None, "abc")
    >>> suggestions_of(pool, n=1).table["row"].tolist()
    [2]
    """
    classes = pool.classes
    scores = log_margins(pool.proba)
    keep = np.arange(len(scores))
    if labelled is not None and y is not None:
        known = set(labelled.keys)
        keep = np.array([i for i in keep if pool.keys[i] not in known], dtype=int)
        y = y[labelled.rows]
    if counts is None:
        counts = _counts(pool.predicted, classes)
    thresholds, sources = _thresholds(scores, pool.predicted, classes, labelled, y)
    order = np.argsort(counts, kind="stable").tolist()
    asking = order[:1] if len(classes) == 2 else order
    budgets = np.zeros(len(classes), dtype=int)
    budgets[asking] = budgets_of(min(n, len(keep)), range(len(asking)), len(asking))
    embedding = pool.proba if pool.embedding is None else pool.embedding
    embedding = np.asarray(embedding, dtype=np.float64 if pool.embedding is None else np.float32)
    chosen, n_copies = choose_around(
        scores[keep],
        thresholds,
        budgets,
        order,
        embedding=embedding[keep],
        keys=[pool.keys[i] for i in keep],
        # Different samples may have equal probabilities.
        least_distance=None if pool.embedding is None else NEARLY_EQUAL * _spread(embedding),
        rng=check_random_state(random_state),
    )
    names = classes.tolist()
    table = []
    for place, k, rank, n_rows in chosen:
        i = keep[place]
        side = "above" if scores[i, k] >= thresholds[k] else "below"
        row = int(pool.rows[i])
        value = value_in_words(names[k], scores[i, k], len(names))
        limit = threshold_in_words(thresholds[k], len(names))
        table.append(
            {
                "row": row,
                "file": None if pool.files is None else pool.files[row],
                "class": names[k],
                "predicted": np.asarray(pool.predicted[i]).item(),
                "probability": float(pool.proba[i, k]),
                "score": float(scores[i, k]),
                "reason": f"{value}, and the threshold is {limit}: number {rank} of the {n_rows} "
                f"images {side} it, counted from the threshold.",
            }
        )
    frame_of = with_any_text(pd.DataFrame)
    columns = ["row", "file", "class", "predicted", "probability", "score", "reason"]
    # A class that asks first for the rest of a budget has used its own.
    asked = np.bincount([k for _, k, *_ in chosen], minlength=len(classes))
    return Suggestions(
        table=frame_of(table, columns=columns),
        thresholds=frame_of(
            {"class": names, "threshold": thresholds, "source": sources, "asked": asked}
        ),
        errors=frame_of(
            [
                {"row": row, "file": pool.files[row] if pool.files else None, "error": error}
                for row, error in sorted(pool.errors.items())
            ],
            columns=["row", "file", "error"],
        ),
        n_pool=len(pool.rows) + len(pool.errors),
        n_known=len(pool.rows) - len(keep),
        n_copies=n_copies,
        images=images,
        shape=shape or {},
    )


def _thresholds(scores, predicted, classes, labelled, y):
    """Return the threshold of each class, and the samples that it comes from, in words."""
    thresholds, sources = [], []
    known = None if labelled is None else log_margins(labelled.proba)
    for k, label in enumerate(classes):
        decided = predicted == label
        own = (
            separation_threshold(scores[:, k], decided) if 0 < decided.sum() < len(decided) else 0.0
        )
        source = "the decisions of the classifier"
        if known is not None:
            member = y == label
            n_members = int(member.sum())
            if min(n_members, len(member) - n_members) >= LEAST_LABELLED:
                own = separation_threshold(known[:, k], member, near=own)
                images, n_others = counted(n_members, "labelled image"), int((~member).sum())
                source = f"{images} of the class and {counted(n_others, 'other', 'others')}"
        thresholds.append(own)
        sources.append(source)
    return np.array(thresholds), sources


def _spread(embedding):
    """Return the typical distance of samples from their mean."""
    return float(np.sqrt(np.var(embedding, axis=0, dtype=np.float64).sum()))


def _counts(labels, classes):
    return np.array([(labels == label).sum() for label in classes])


def _training_counts(classifier, classes):
    """Return the counts of the classes in training where the classifier knows them, or None."""
    while classifier is not None:
        counts = getattr(classifier, "class_count_", None)
        if counts is not None and np.shape(counts) == classes.shape:
            return np.asarray(counts)
        steps = getattr(classifier, "steps", None)
        classifier = steps[-1][1] if steps else getattr(classifier, "estimator_", None)
    return None


def _check(classifier, X_pool, n, X, y):
    """Refuse arguments that cannot be, before any sample is read."""
    check_is_fitted(classifier)
    if not hasattr(classifier, "predict_proba"):
        raise ValueError(
            f"`classifier` must have `predict_proba`, which {type(classifier).__name__} has not. "
            "Put a CalibratedClassifierCV around it."
        )
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise ValueError(f"`n` must be a positive integer, the number of samples. It is {n!r}.")
    if (X is None) != (y is None):
        given, lacking = ("X", "y") if y is None else ("y", "X")
        raise ValueError(
            f"`X` and `y` are labelled samples and their labels: `{given}` is given and "
            f"`{lacking}` is not. Give both or none."
        )
    if n_samples_of(X_pool) == 0:
        raise ValueError("`X_pool` must hold samples to choose from, and it is empty.")


def _known_labels(classifier, X, y):
    y = plain_vector(y)
    if len(y) != n_samples_of(X):
        raise ValueError(
            f"`X` and `y` must have the same length: they have {n_samples_of(X)} and {len(y)}."
        )
    unknown = np.setdiff1d(np.unique(y), classifier.classes_)
    if len(unknown):
        raise ValueError(
            f"`y` has labels that the classifier does not know: {shown(unknown[:10])}. It knows "
            f"{shown(np.asarray(classifier.classes_)[:10])}. Leave these samples out, or fit the "
            "classifier with them."
        )
    return y
