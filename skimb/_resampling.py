"""Choose rows first, touch pixels later: the one place where a resampling plan meets the rows.

A plan is an array of row indices (a selection), or pairs of rows with a gap (an interpolation).
Both are made from labels and distances alone; this module applies them to arrays of any dimension,
sparse matrices and frames, at once or, as `ResampledRows`, when rows are asked for.
"""

from typing import Any

import numpy as np
import pandas as pd
from imblearn.utils import check_sampling_strategy, check_target_type
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_consistent_length, check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets

from skimb._containers import (
    columns_without_numbers,
    in_container,
    like,
    plain_labels,
    plain_rows,
    select_rows,
    select_target,
)
from skimb._image_files import is_paths
from skimb._images import check_rows
from skimb._params import check_handed_in, fit_context, safe_indexing
from skimb._resampled import ResampledRows, blend_into, is_integer
from skimb._unpacking import as_array, is_tensor

__all__ = [
    "EmbeddingMixin",
    "ImageSamplerMixin",
    "append_rows",
    "apply_plan",
    "hold_rows",
    "interpolate_rows",
    "like",
    "origin_of",
    "refuse_columns",
    "sample_indices",
    "seeded_clone",
    "select_rows",
    "takes_images",
]


class ImageSamplerMixin:
    """What turns a sampler on imbalanced-learn's bases into one of rows of any dimension.

    Put it before the base. ``_makes_rows`` says that rows are made, whose parents only a view can
    tell; ``_wants_images`` that they are made as images: then they cannot be sparse. ``_computes``
    tells whether rows take part in arithmetic; a sampler that only selects takes strings and
    missing values too.
    """

    _wants_images = False
    _makes_rows = False
    _sampling_type: str
    sampling_strategy: Any
    _fit_resample: Any

    def _computes(self):
        return self._makes_rows

    def fit(self, X, y, **params):
        """Check X and y, and what the sampler would do; `fit_resample` does so too.

        Parameters
        ----------
        X, y
            As in `fit_resample`.
        **params
            As in `fit_resample`.

        Returns
        -------
        self
        """
        return super().fit(plain_rows(X), plain_labels(y, self), **params)  # pyright: ignore[reportAttributeAccessIssue] - the base

    # The base switches the checks off of what is handed in.
    @fit_context(prefer_skip_nested_validation=False)
    def fit_resample(self, X, y, **params):
        """Resample the rows.

        Parameters
        ----------
        X : array, memmap, tensor, sparse matrix, frame or list of shape (n, ...); or n paths
            Rows of any dimension; or a list, Series or array of n arrays of one shape. Samplers
            that compute with rows want finite numbers.
        y : array-like of shape (n,)
            Labels of any type.
        **params
            What the sampler takes beside them: none of skimb's takes anything.

        Returns
        -------
        X_resampled
            The rows in the container that they came in, of the same dtype. Those that were chosen
            are what they were there.
        y_resampled
            Their labels, in the container that they came in.

        Raises
        ------
        ValueError
            If X, y or a parameter, or one of what is handed in, does not fit.
        """
        if self._makes_rows and getattr(self, "lazy", False) and not _has_rows(X):
            raise ValueError(
                f"`lazy=True` takes arrays and tensors, but X is a {type(X).__name__}, and what is "
                "made of it would not tell its parents. Give an array, or use lazy=False."
            )
        check_handed_in(self)
        plain, target = plain_rows(X), plain_labels(y, self)
        check_classification_targets(target)
        rows, target, _ = self._check_X_y(plain, target)
        self._n_rows = len(target)
        self.sampling_strategy_ = check_sampling_strategy(
            self.sampling_strategy, target, self._sampling_type
        )
        resampled, labels = self._fit_resample(rows, target, **params)
        origin = self._origin()
        if np.any(origin < 0):
            refuse_columns(getattr(self, "sampler", self), plain)
        X_resampled = in_container(X, resampled, origin)
        indices = sample_indices(self)
        if indices is None:
            # No label is made: any row of the class has it, as it came.
            classes, first = np.unique(target, return_index=True)
            indices = first[np.searchsorted(classes, labels)]
        return X_resampled, select_target(y, indices, X_resampled)

    def _origin(self):
        return origin_of(self)

    def _check_X_y(self, X, y, accept_sparse=None):
        y, is_one_vs_all = check_target_type(y, indicate_one_vs_all=True)
        if isinstance(X, ResampledRows):
            # Rows between finite rows are finite: checking the root makes none of them.
            check_consistent_length(X, y)
            check_rows(self, X.root, np.zeros(len(X.root)), numeric=self._computes())
            return X, np.asarray(y), is_one_vs_all
        if self._wants_images and sparse.issparse(X):
            raise TypeError(
                f"{type(self).__name__} makes images, but X is a sparse matrix. Give X.toarray()."
            )
        if self._makes_rows:
            refuse_columns(self, X)
        try:
            X, y = check_rows(self, X, y, numeric=self._computes())
        except TypeError as exc:
            # Times and numbers have no type in common.
            others = columns_without_numbers(X)
            if not others:
                raise
            raise ValueError(
                f"{type(self).__name__} compares rows by their numbers, and these columns of X "
                f"hold none: {', '.join(others)}. Encode or drop them, or give an `embedder`."
            ) from exc
        if self._wants_images and sparse.issparse(X):
            # A frame of sparse columns: it comes out as such again.
            X = sparse.csr_array(X).toarray()
        return X, y, is_one_vs_all

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # pyright: ignore[reportAttributeAccessIssue] - the base
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = not self._computes()
        tags.input_tags.string = not self._computes()
        tags.input_tags.sparse = tags.input_tags.sparse and not self._wants_images
        tags.sampler_tags.sample_indices = True
        return tags


class EmbeddingMixin:
    """What a sampler needs that compares rows in themselves or in an embedding.

    Put it before `ImageSamplerMixin`.
    """

    embedder: Any
    random_state: Any
    _makes_rows: bool

    def _computes(self):
        # What an embedder reads is its own affair.
        return self._makes_rows or self.embedder is None

    def _fit_embedder(self, X, y):
        if self.embedder is not None:
            embedder = seeded_clone(self.embedder, check_random_state(self.random_state))
            self.embedder_ = embedder.fit(self._readable(X), y)

    def _readable(self, X):
        """Return rows as the embedder reads them: as they are, or flat."""
        if is_paths(X) and not takes_images(self.embedder):
            raise ValueError(
                f"X holds paths, and `embedder`={self.embedder!r} reads numbers. Give one that "
                "reads image files, or read them first: skimb.datasets.read_images(paths, "
                "image_shape=...)."
            )
        if not isinstance(X, np.ndarray | ResampledRows) or takes_images(self.embedder):
            return X
        return _flat(X)

    def _points(self, X, rows=None):
        """Return rows, or all of them, as points of shape (m, d)."""
        members = X if rows is None else safe_indexing(X, rows)
        if self.embedder is None:
            points = members if sparse.issparse(X) else _flat(members)
            if points.dtype.kind == "O":
                # Columns of several types, categories among them.
                points = points.astype(np.float64)
            if is_integer(points.dtype):
                # 16 bits and less fit float32 exactly.
                points = points.astype(np.float32 if points.dtype.itemsize <= 2 else np.float64)
            return points
        points = np.asarray(self.embedder_.transform(self._readable(members)))
        if points.ndim != 2 or len(points) != len(members):
            raise ValueError(
                "`embedder` must turn n rows into an array of shape (n, d). "
                f"For {len(members)} rows it gave {points.shape}."
            )
        return points


def sample_indices(sampler):
    """Return which rows a fitted sampler chose, as integers; None where it does not tell.

    Parameters
    ----------
    sampler : sampler

    Returns
    -------
    ndarray of int, or None
    """
    indices = getattr(sampler, "sample_indices_", None)
    # imbalanced-learn's InstanceHardnessThreshold gives floats.
    return None if indices is None else np.asarray(indices).astype(np.intp)


def origin_of(sampler):
    """Return for each row that a fitted sampler returned the row of X that it is.

    Parameters
    ----------
    sampler : sampler
        One of skimb, which tells.

    Returns
    -------
    ndarray of int
        -1 where the row was made.
    """
    origin = np.array(sampler.sample_indices_, dtype=np.intp)
    origin[len(origin) - len(getattr(sampler, "parents_", ())) :] = -1
    return origin


def refuse_columns(sampler, X):
    """Refuse columns that hold no numbers where rows are made.

    Parameters
    ----------
    sampler : sampler
        What makes them.
    X : object
        Rows as they came.

    Raises
    ------
    ValueError
        If there are such columns.
    """
    # Of a column of paths a better message tells.
    others = [] if is_paths(X) else columns_without_numbers(X)
    if others:
        raise ValueError(
            f"{type(sampler).__name__} makes rows of numbers, and these columns of X hold none: "
            f"{', '.join(others)}. Encode them, drop them, or give a sampler that chooses rows."
        )


def takes_images(estimator):
    """Tell whether an estimator reads images as they are; others get flattened rows."""
    return bool(get_tags(estimator).input_tags.three_d_array)


def _flat(X):
    return np.asarray(X).reshape(len(X), -1)


def _has_rows(X):
    return isinstance(X, np.ndarray | ResampledRows) or sparse.issparse(X) or is_tensor(X)


def seeded_clone(estimator, rng):
    """Clone an estimator and give a seed to each of its random states that has none.

    Parameters
    ----------
    estimator : estimator
        What is cloned.
    rng : RandomState
        The source of the seeds.

    Returns
    -------
    estimator
    """
    copy = clone(estimator)
    seeds = {
        name: int(rng.randint(np.iinfo(np.int32).max))
        for name, value in sorted(copy.get_params(deep=True).items())
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    }
    return copy.set_params(**seeds) if seeds else copy


def interpolate_rows(X, first, second, gaps, *, chosen=None, lazy=False) -> Any:
    """Return X and, below it, one synthetic row for each pair of parents.

    The rows are ``X[first] + gaps * (X[second] - X[first])``, computed in float and rounded where
    X is integer: uint8 differences would wrap around.

    Parameters
    ----------
    X : ndarray of any dimension or sparse matrix
        The original rows.
    first, second : ndarray of shape (m,), int
        The parents.
    gaps : ndarray of shape (m,)
        How far from the first parent to the second, in [0, 1].
    chosen : ndarray of int, default=None
        Which original rows come back; None: all.
    lazy : bool, default=False
        Return `ResampledRows`.

    Returns
    -------
    ndarray or sparse matrix of the chosen rows and m more, of the dtype of X

    Raises
    ------
    ValueError
        If a sparse matrix shall be resampled lazily.
    """
    if sparse.issparse(X):
        if lazy:
            raise ValueError("`lazy=True` takes arrays, but X is a sparse matrix. Use lazy=False.")
        base, other = X[first].astype(np.float64), X[second].astype(np.float64)
        made = base + sparse.diags_array(gaps) @ (other - base)
        if is_integer(X.dtype):
            made.data = np.rint(made.data)
        return sparse.vstack([_chosen(X, chosen), made.astype(X.dtype)], format=X.format)
    if lazy:
        return _view_with_rows_below(X, chosen, first, second, gaps)
    n_rows = len(X) if chosen is None else len(chosen)
    out = np.empty((n_rows + len(first), *X.shape[1:]), dtype=X.dtype)
    out[:n_rows] = _chosen(X, chosen)
    blend_into(out[n_rows:], X, first, second, gaps)
    return out


def append_rows(X, made, seeds, *, chosen=None, lazy=False):
    """Return X and, below it, rows that were made elsewhere.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        The original rows.
    made : ndarray of shape (m, ...)
        The rows, of the dtype of X.
    seeds : ndarray of shape (m, 2), int
        The parents of each.
    chosen : ndarray of int, default=None
        Which original rows come back; None: all.
    lazy : bool, default=False
        Return `ResampledRows`.

    Returns
    -------
    ndarray of the chosen rows and m more, or ResampledRows
    """
    if not lazy:
        return np.concatenate([np.asarray(_chosen(X, chosen)), made])
    gaps = np.zeros(len(made))
    view = _view_with_rows_below(X, chosen, seeds[:, 0], seeds[:, 1], gaps)
    return hold_rows(view, made, np.arange(len(view) - len(made), len(view)))


def hold_rows(view, made, places):
    """Return a view some of whose rows are held as they are.

    Parameters
    ----------
    view : ResampledRows of m rows
        A view that holds none.
    made : ndarray of shape (k, ...)
        The rows, of the dtype of the view.
    places : ndarray of shape (k,), int
        Which rows of the view they are.

    Returns
    -------
    ResampledRows
    """
    held = np.full(len(view), -1)
    held[places] = np.arange(len(made))
    return ResampledRows(view.base, view.first, view.second, view.gaps, made=made, places=held)


def _chosen(X, chosen):
    return X if chosen is None else X[chosen]


def _view_with_rows_below(X, chosen, first, second, gaps):
    own = np.arange(len(X)) if chosen is None else chosen
    return ResampledRows(
        X,
        np.concatenate([own, first]),
        np.concatenate([own, second]),
        np.concatenate([np.zeros(len(own)), gaps]),
    )


def apply_plan(sampler, values: Any) -> Any:
    """Resample a further array as a sampler resampled X: weights, groups, a side table.

    A row that was chosen takes its own entry along. A synthetic row lies between two parents: what
    is real (floats, columns of floats) is interpolated by the same gap, anything else is that of
    its first parent. So the group of its second parent is not told: to split by groups, split first
    and resample each part.

    Parameters
    ----------
    sampler : sampler, list of samplers or Pipeline of samplers
        After ``fit_resample``. Several were applied in turn.
    values : array-like of shape (n, ...), sparse matrix, Series or frame
        One entry for each row of the X that the (first) sampler got.

    Returns
    -------
    ndarray, sparse matrix, Series or frame
        One entry for each row that the (last) sampler returned.

    Raises
    ------
    ValueError
        If a sampler does not tell which rows it returned, or the number of entries does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.over_sampling import SMOTE, apply_plan
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> age, site = np.linspace(20, 80, len(X)), np.arange(len(X)) // 300
    >>> smote = SMOTE(random_state=0)
    >>> X_res, y_res = smote.fit_resample(X, y)
    >>> apply_plan(smote, age).shape, apply_plan(smote, site).dtype
    ((3246,), dtype('int64'))
    """
    steps = getattr(sampler, "steps", None)
    if steps is not None:
        sampler = [step for _, step in steps]
    if isinstance(sampler, list | tuple):
        for step in sampler:
            values = apply_plan(step, values)
        return values
    indices = sample_indices(sampler)
    if indices is None:
        raise ValueError(
            f"{type(sampler).__name__} does not tell which rows it returned: it has no "
            "`sample_indices_`. Call `fit_resample` first; a sampler that makes rows up without "
            "naming their parents cannot be followed."
        )
    if not (hasattr(values, "iloc") or sparse.issparse(values)):
        values = _entries(values)
    parents = getattr(sampler, "parents_", np.empty((0, 2), dtype=np.intp))
    n_rows, n_made = values.shape[0], len(parents)
    wanted = getattr(sampler, "_n_rows", None)
    if wanted is None and np.max(indices, initial=-1) >= n_rows:
        wanted = f"at least {np.max(indices) + 1}"
    if wanted not in (None, n_rows):
        raise ValueError(
            f"`values` must have an entry for each row that {type(sampler).__name__} got: "
            f"{wanted}. Got {n_rows}."
        )
    followed = select_rows(values, indices)
    if n_made == 0:
        return followed
    if hasattr(values, "columns"):
        for place, column in enumerate(values.columns):
            followed.isetitem(place, apply_plan(sampler, values.iloc[:, place]).rename(column))
        return followed
    if not pd.api.types.is_float_dtype(values.dtype):
        return followed
    rows = values
    if hasattr(values, "iloc"):
        rows = values.to_numpy(dtype=np.float64, na_value=np.nan)
    # Chosen rows come first, whether all, as from over-samplers, or some.
    chosen = indices[: len(indices) - n_made]
    blended = interpolate_rows(rows, parents[:, 0], parents[:, 1], sampler.gaps_, chosen=chosen)
    if hasattr(values, "iloc"):
        followed[:] = blended
        return followed
    return blended


def _entries(values):
    """Return further values as an array whose entries are what they were."""
    if not isinstance(values, list | tuple):
        return np.asarray(as_array(values))
    found = np.asarray(plain_rows(values)) if len(values) else np.empty(0)
    if found.dtype.kind in "UT":
        objects = np.asarray(values, dtype=object)
        # Numbers beside strings would become strings.
        if not all(isinstance(value, str) for value in objects.flat):
            return objects
    return found
