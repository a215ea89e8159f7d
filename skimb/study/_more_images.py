"""more_images(): would more images of a class help? A learning curve, and how it may go on."""

import sys
import warnings
from functools import partial
from numbers import Integral
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length, check_random_state

from skimb._drawn_text import visible_text
from skimb._label_columns import unknown_labels
from skimb._messages import shown
from skimb._params import safe_indexing
from skimb._reading import view_of
from skimb._shared_jobs import results_of_jobs
from skimb._unpacking import plain_vector
from skimb._warnings import warn
from skimb.class_weight import minority_class
from skimb.neural_network import CNNClassifier, training_length
from skimb.neural_network.joint_training import HeadProblem
from skimb.study._classification_task import ClassificationTask
from skimb.study._learning_curve import MOST_TIMES, MoreImages
from skimb.study._power_curve import draw_curves
from skimb.study._ranking_scores import MEASURES, resampled_scores
from skimb.study._splits import image_groups

__all__ = ["check_more_images", "more_images"]

#: The parts of the images of the class that heads are trained on.
PARTS = (1 / 8, 1 / 4, 1 / 2, 2**-0.5, 1.0)

#: Images of the class in the smallest part, at least.
LEAST_IMAGES = 4

#: Draws of the bootstrap.
N_DRAWS = 500

#: The penalty of heads, as in `HeadProblem`.
PENALTY = 1e-3


def more_images(
    X: Any,
    y: ArrayLike,
    *,
    label: Any = None,
    estimator: Any = None,
    measure: str = "average_precision",
    features: str = "retrained",
    cv: Any = 5,
    n_orders: int = 1,
    groups: ArrayLike | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> MoreImages:
    """Estimate how good a network would be with more images of one class.

    In each fold, networks are trained on nested subsets of the images of the class, with all images
    of the other classes, and scored on the test part. A bounded power law goes on with the scores,
    up to four times as many images; a bootstrap over folds, orders and test images gives the band,
    with every exponent that the scores allow [1]_.

    Parameters
    ----------
    X : array-like of shape (n, d), (n, H, W), (n, H, W, C) or (n, C, H, W)
        Images.
    y : array-like of shape (n,)
        Labels.
    label : label, default=None
        The class; None: the minority class.
    estimator : CNNClassifier, default=None
        The network; None: ``CNNClassifier()``.
    measure : {"average_precision", "best_f1"}, default="average_precision"
        The measure of the class against all others: its average precision, or its F1 at the best
        threshold. A threshold of 0.5 would also tell how the class prior moves with the images.
    features : {"retrained", "fixed"}, default="retrained"
        ``"retrained"``: each subset trains a network of its own, so five networks a fold, with
        batches of one size and the same number of gradient steps, which are those of all images.
        ``"fixed"``: each fold trains one network, on its whole training part, and the subsets train
        last layers on its embeddings. That takes a fifth of the time, and is right for a network
        whose features do not come from these images, such as a frozen, pretrained one. Features
        that have been learned from all images make the smallest subsets look too good, and so the
        curve too flat.
    cv : int, default=5
        Folds, which are stratified and keep groups and equal images together.
    n_orders : int, default=1
        Random orders of the images in each fold, from whose beginnings the subsets are taken.
    groups : array-like of shape (n,), default=None
        Samples of one group are on one side of each split, and join a subset together.
    random_state : int, RandomState instance or None, default=None
        The source of folds, orders, networks and draws. Results are equal for any `n_jobs`.
    n_jobs : int, default=None
        Processes, as in joblib.
    verbose : int, default=0
        1: a line on stderr for each network, when its training begins.

    Returns
    -------
    MoreImages
        Its `remarks` say whether trainings were short.

    Raises
    ------
    ValueError
        If the class is unknown, or has too few images for four sizes. It is raised before any
        training.

    References
    ----------
    .. [1] Viering and Loog, The Shape of Learning Curves: A Review, IEEE TPAMI 2023,
       doi:10.1109/TPAMI.2022.3220744.

    Examples
    --------
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.neural_network import CNNClassifier
    >>> from skimb.study import more_images
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> quick = CNNClassifier(max_epochs=1)
    >>> result = more_images(X, y, estimator=quick, features="fixed", cv=2, random_state=0)
    >>> result.n_images, result.forecast(2)["n_images"]
    (81, 162)
    """
    estimator = CNNClassifier() if estimator is None else estimator
    if measure not in MEASURES:
        raise ValueError(f"`measure` must be one of {list(MEASURES)}. Got {measure!r}.")
    if features not in FEATURES:
        raise ValueError(f"`features` must be one of {list(FEATURES)}. Got {features!r}.")
    if not isinstance(n_orders, Integral) or n_orders < 1:
        raise ValueError(f"`n_orders` must be a positive integer. Got {n_orders!r}.")
    rng = check_random_state(random_state)
    plan = _planned(X, y, label, estimator, cv, groups, rng)
    X, y, label, numbers, splits, sizes = plan
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(splits))
    function = partial(
        _scores_of_fold,
        estimator,
        label,
        sizes=sizes,
        n_orders=n_orders,
        rank=FEATURES[features],
    )
    jobs = [
        (split, int(seed), _Teller(verbose, i + 1, len(splits), label))
        for i, (split, seed) in enumerate(zip(splits, seeds, strict=True))
    ]
    done = results_of_jobs(function, jobs, shared=[X, y, numbers], n_jobs=n_jobs)
    found = [result for _, result in sorted(done, key=itemgetter(0))]
    raised = [each for _, warned in found for each in warned]
    n_short = sum(isinstance(each, ConvergenceWarning) for each in raised)
    n_networks = len(splits) * (n_orders * len(sizes) if features == "retrained" else 1)
    remarks = (_remark(n_short, n_networks),) if n_short else ()
    # Each once, whatever the number of networks that it is about.
    others = {(str(e), type(e)) for e in raised if not isinstance(e, ConvergenceWarning)}
    for message, category in sorted(others, key=str):
        warn(message, category)
    scores, draws = resampled_scores(
        [ranked for ranked, _ in found],
        [y[test] == label for _, test in splits],
        [numbers[test] for _, test in splits],
        measure=measure,
        n_draws=N_DRAWS,
        rng=rng,
    )
    n_images = int((y == label).sum())
    grid = np.geomspace(sizes[0], MOST_TIMES * n_images, 60)
    every = scores.reshape(-1, len(sizes))
    mean, curves = draw_curves(sizes, every.mean(axis=0), draws, grid, rng)
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    return MoreImages(
        label, measure, n_images, sizes, every, grid, mean, low, high, curves, remarks
    )


def check_more_images(
    X: Any,
    y: ArrayLike,
    *,
    label: Any = None,
    estimator: Any = None,
    cv: Any = 5,
    groups: ArrayLike | None = None,
) -> None:
    """Refuse samples of which `more_images` can make no learning curve, before any training.

    Parameters
    ----------
    X, y, label, estimator, cv, groups
        As in `more_images`.

    Raises
    ------
    ValueError
        As in `more_images`.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import check_more_images
    >>> check_more_images(np.random.rand(200, 4, 4), np.arange(200) % 2, label=1)
    """
    estimator = CNNClassifier() if estimator is None else estimator
    _planned(X, y, label, estimator, cv, groups, np.random.RandomState(0))


class _Plan(NamedTuple):
    """The samples, folds and sizes of a learning curve."""

    X: Any
    y: np.ndarray
    label: Any
    groups: np.ndarray
    splits: list
    sizes: np.ndarray


def _planned(X, y, label, estimator, cv, groups, rng):
    if not isinstance(estimator, CNNClassifier):
        raise ValueError(
            f"`estimator` must be a CNNClassifier. Got {type(estimator).__name__}: a learning "
            "curve is that of one class."
        )
    if not isinstance(cv, Integral) or cv < 2:
        raise ValueError(f"`cv` must be an integer of at least 2, the number of folds. Got {cv!r}.")
    X, y = view_of(X, channels=estimator.channels), plain_vector(y)
    check_consistent_length(X, y)
    task = ClassificationTask(y)
    label = minority_class(y) if label is None else label
    if unknown_labels([label], task.classes):
        raise ValueError(f"`label` must be one of {shown(task.classes)}. Got {shown(label)}.")
    label = task.classes[task.classes == label].tolist()[0]
    numbers = image_groups(X, groups, estimator)
    splits = task.splits(int(cv), rng.randint(np.iinfo(np.int32).max), numbers)
    sizes = _sizes(min(int((y[train] == label).sum()) for train, _ in splits), label)
    return _Plan(X, y, label, numbers, splits, sizes)


def _sizes(n_images, label):
    """Return the numbers of images of the class that heads are trained on."""
    sizes = np.unique([max(LEAST_IMAGES, round(part * n_images)) for part in PARTS])
    if len(sizes) < 4 or sizes[-1] > n_images:
        raise ValueError(
            f"A learning curve needs {4 * LEAST_IMAGES} images of class {shown(label)} in each "
            f"training part, but one holds {n_images}. Give more images, or more folds."
        )
    return sizes.astype(np.float64)


def _scores_of_fold(estimator, label, job, X, y, groups, *, sizes, n_orders, rank):
    """Return the log-odds of the class for all test samples, by order and size, and warnings."""
    (train, test), seed, tell = job
    network = clone(estimator).set_params(random_state=seed)
    X, X_test = (safe_indexing(X, part) for part in (train, test))
    y, groups = y[train], groups[train]
    others = np.flatnonzero(y != label)
    rng = np.random.RandomState(seed)
    subsets = []
    for _ in range(n_orders):
        members = _ordered(np.flatnonzero(y == label), groups, rng)
        subsets += [np.sort(np.concatenate([members[: int(size)], others])) for size in sizes]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [
            _log_odds(log_proba, classes, label)
            for log_proba, classes in rank(network, X, X_test, y, subsets, tell)
        ]
    ranked = np.reshape(found, (n_orders, len(sizes), -1))
    return ranked, [warning.message for warning in caught]


def _networks(network, X, X_test, y, subsets, tell):
    """Train a network on each subset, and yield its log-probabilities of the test samples."""
    # With epochs alone, small subsets would get fewer steps, and look worse than their images are.
    length = training_length(
        len(y),
        batch_size=network.batch_size,
        max_epochs=network.max_epochs,
        steps_per_epoch=network.steps_per_epoch,
    )
    network = clone(network).set_params(
        batch_size=length.batch_size,
        max_epochs=length.max_epochs,
        steps_per_epoch=length.steps_per_epoch,
    )
    for i, rows in enumerate(subsets):
        tell(i + 1, len(subsets), y[rows])
        fitted = clone(network).fit(safe_indexing(X, rows), y[rows])
        yield fitted.predict_log_proba(X_test), fitted.classes_


def _heads(network, X, X_test, y, subsets, tell):
    """Train a network once, and a last layer on each subset of its embeddings."""
    tell(1, 1, y)
    network.fit(X, y)
    embedded, held, classes = network.embed(X), network.embed(X_test), network.classes_
    target = np.searchsorted(classes, y)
    for rows in subsets:
        problem = HeadProblem(embedded[rows], target[rows], len(classes), penalty=PENALTY)
        head = problem.solve(np.ones(len(classes)))
        logits = problem.base_of(held) + problem.rows_of(held) @ head
        yield log_softmax(logits, axis=1), classes


class _Teller(NamedTuple):
    """Writes a line for each training, from any process."""

    verbose: int
    fold: int
    n_folds: int
    label: Any

    def __call__(self, number, n_networks, y):
        if self.verbose:
            n_images = int((y == self.label).sum())
            line = (
                f"learning curve: fold {self.fold} of {self.n_folds}, network {number} of "
                f"{n_networks}, with {n_images} images of {visible_text(str(self.label))}"
            )
            print(line, file=sys.stderr, flush=True)


def _remark(n_short, n_networks):
    """Say how many trainings were short, and what that means for the curve."""
    return (
        f"In {n_short} of the {n_networks} trainings of this curve, the loss still fell when they "
        "ended, so that longer ones may change it: give more --epochs (in Python, max_epochs)."
    )


#: How subsets are trained on.
FEATURES = {"retrained": _networks, "fixed": _heads}


def _log_odds(log_proba, classes, label):
    """Return the log-odds of one class against all others."""
    is_class = classes == label
    rest = np.logaddexp.reduce(log_proba[:, ~is_class], axis=1)
    return log_proba[:, is_class][:, 0] - rest


def _ordered(rows, groups, rng):
    """Return rows in a random order in which the samples of a group follow one another."""
    of_rows = groups[rows]
    places = rng.permutation(groups.max() + 1)[of_rows]
    return rows[np.lexsort((rng.rand(len(rows)), places))]
