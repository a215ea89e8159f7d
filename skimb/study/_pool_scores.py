"""What a classifier says about samples: probabilities, decisions and embeddings."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skimb._image_files import as_paths, is_paths
from skimb._messages import counted
from skimb._params import safe_indexing
from skimb._reading import sample_keys

__all__ = ["PoolScores", "embedding_of", "pool_scores"]

#: Samples that are read at a time: a broken file costs a search among so many.
BATCH = 256


@dataclass
class PoolScores:
    """What a classifier says about the samples that could be read.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    rows : ndarray of int of shape (n,)
        Their indices among all samples.
    proba : ndarray of shape (n, n_classes)
    predicted : ndarray of shape (n,)
    embedding : ndarray of shape (n, d), or None
        None: the classifier has none.
    keys : list of n hashables
        Equal for copies.
    files : list of str, default=None
        The names of all samples, also of broken ones.
    errors : dict
        Index to the error of a sample that could not be read.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import PoolScores, suggestions_of
    >>> proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> pool = PoolScores(np.array([0, 1]), np.arange(3), proba, proba.argmax(axis=1), None, "abc")
    >>> len(suggestions_of(pool, n=2).table)
    2
    """

    classes: Any
    rows: Any
    proba: Any
    predicted: Any
    embedding: Any
    keys: Any
    files: Any = None
    errors: dict[int, str] = field(default_factory=dict)


def embedding_of(fitted: Any, X: Any) -> Any:
    """Return the embedding of samples by a fitted classifier, or by the one inside it.

    Parameters
    ----------
    fitted : estimator
        A classifier with `embed`, or a Pipeline, wrapper or search around one; or a Pipeline whose
        other steps make a table.
    X : array-like of n samples

    Returns
    -------
    ndarray of shape (n, d), or None
        None: there is none.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skimb.study import embedding_of
    >>> X, y = [[0.0], [2.0]], [0, 1]
    >>> classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    >>> embedding_of(classifier, X).tolist()
    [[-1.0], [1.0]]
    """
    if callable(getattr(fitted, "embed", None)):
        return np.asarray(fitted.embed(X))
    if steps := getattr(fitted, "steps", None):
        # Resamplers act in fit alone.
        transformers = [step for _, step in steps[:-1] if hasattr(step, "transform")]
        for step in transformers:
            X = step.transform(X)
        inner = embedding_of(steps[-1][1], X)
        if inner is not None or not transformers:
            return inner
        X = np.asarray(X)
        return X if X.ndim == 2 and X.dtype.kind in "fiu" else None
    for name in ("estimator_", "best_estimator_", "estimator"):
        inner = getattr(fitted, name, None)
        if inner is not None and hasattr(inner, "get_params"):
            return embedding_of(inner, X)
    return None


def n_samples_of(X):
    """Return the number of samples of any X."""
    shape = getattr(X, "shape", None)
    return int(shape[0]) if shape else len(X)


def pool_scores(classifier, X):
    """Let a classifier predict and embed samples.

    Parameters
    ----------
    classifier : estimator
        It is fitted.
    X : array-like of n samples
        Paths whose files are broken are set aside with their error.

    Returns
    -------
    PoolScores

    Raises
    ------
    ValueError
        If no sample can be read, or the classifier refuses an array.
    """
    files = as_paths(X).tolist() if is_paths(X) else None
    n, found, errors = n_samples_of(X), [], {}
    for start in range(0, n, BATCH):
        found += _scored(classifier, X, np.arange(start, min(n, start + BATCH)), errors, files)
    if not found:
        raise ValueError(
            f"Of {counted(n, 'file')} of `X_pool`, none can be read. The first one: {errors[0]}"
        )
    rows, proba, predicted, embedded = zip(*found, strict=True)
    rows = np.concatenate(rows)
    keys = sample_keys(X) if len(rows) == n else sample_keys(safe_indexing(X, rows))
    return PoolScores(
        np.asarray(classifier.classes_),
        rows,
        np.concatenate(proba),
        np.concatenate(predicted),
        None if embedded[0] is None else np.concatenate(embedded),
        keys,
        files,
        errors,
    )


def _scored(classifier, X, rows, errors, files):
    """Return the results of samples; where files are broken, halves are tried apart."""
    part = safe_indexing(X, rows)
    try:
        proba, predicted = classifier.predict_proba(part), classifier.predict(part)
        return [(rows, np.asarray(proba), np.asarray(predicted), embedding_of(classifier, part))]
    except (ValueError, OSError) as exc:
        if files is None:
            raise
        if len(rows) == 1:
            errors[int(rows[0])] = " ".join(str(exc).split())
            return []
    halves = np.array_split(rows, 2)
    return [one for half in halves for one in _scored(classifier, X, half, errors, files)]
