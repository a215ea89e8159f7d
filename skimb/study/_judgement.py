"""The judgement of a strategy by a metric: its difference to the baseline, and how sure it is."""

from dataclasses import dataclass

__all__ = ["FOLDS", "IMAGES", "IMAGES_AND_SEEDS", "SEEDS", "Judgement"]

#: What the uncertainty of a difference contains.
IMAGES, IMAGES_AND_SEEDS, SEEDS, FOLDS = "test images", "test images and seeds", "seeds", "folds"


@dataclass(frozen=True)
class Judgement:
    """The score of a strategy, its difference to the baseline, and how sure that difference is.

    Parameters
    ----------
    mean, sd : float
        Of the scores over all runs; the sd of one run is NaN.
    difference : float
        The mean difference to the baseline, in the unit of the metric.
    low, high : float
        The 95 % interval of the difference, for this strategy and metric alone; NaN: there is
        none.
    verdict : str or None
        ``"better"``, ``"worse"`` or ``"within noise"``, by the adjusted p-value;
        ``"one run"`` or ``"too few runs"``, where there is no interval for that reason;
        ``"undefined"``, where a score is NaN. None: it is the baseline itself.
    p_value : float, default=NaN
        Of the test that the interval inverts: below 0.05 where the interval excludes zero.
    adjusted_p_value : float, default=NaN
        After Holm's correction over the strategies; for a reference, which is no candidate, its
        p-value as it is.
    source : str or None, default=None
        What the uncertainty contains: ``"test images"``, ``"test images and seeds"``,
        ``"seeds"``, or ``"folds"``. None: there is no interval.
    mcnemar_p_value : float, default=NaN
        Of McNemar's exact test on the images of one run; for a recall on those of its class, else
        on all of them. NaN by cross-validation, with several seeds, and where images are in groups.
    more_images : float, default=NaN
        How many further test images of the minority class (for a continuous target: of all kinds),
        with the others in proportion, would show a difference of this size with a power of 80 %.
        Infinite: no number would. NaN: it is shown already, or not known.
    repeats_can_settle : bool or None, default=None
        By cross-validation, whether a difference of this size could exclude zero after further
        repeats. None: it does already, or there are no folds.
    n_resamples : int or None, default=None
        Resamples of the test images that the interval comes from. None: it comes from runs.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skimb.datasets import load_imbalanced_digits
    >>> from skimb.study import compare
    >>> X, y = load_imbalanced_digits(return_X_y=True)
    >>> own = {"never": DummyClassifier(), "coin": DummyClassifier(strategy="uniform")}
    >>> result = compare(X, y, strategies=own, X_test=1 + X, y_test=y, random_state=0)
    >>> judged = result.judgement("coin", "f1_minority")
    >>> judged.verdict, judged.source
    ('better', 'test images')
    """

    mean: float
    sd: float
    difference: float
    low: float
    high: float
    verdict: str | None
    p_value: float = float("nan")
    adjusted_p_value: float = float("nan")
    source: str | None = None
    mcnemar_p_value: float = float("nan")
    more_images: float = float("nan")
    repeats_can_settle: bool | None = None
    n_resamples: int | None = None
