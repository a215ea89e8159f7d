"""What the intervals of a comparison contain, and what would settle a difference, in words."""

import numpy as np

from skimb._drawn_text import visible_text
from skimb._messages import counted
from skimb.study._judgement import FOLDS, IMAGES, IMAGES_AND_SEEDS, SEEDS
from skimb.study._statistics import largest_shrinkage
from skimb.study._verdict_facts import best_of, groups_of, n_tests_of

__all__ = ["uncertainty", "what_settles"]


def uncertainty(comparison, candidates):
    """Say what the intervals contain, and what they do not.

    Parameters
    ----------
    comparison : BaseComparison
    candidates : list of str
        The strategies that may be called better.

    Returns
    -------
    list of str
        Sentences.
    """
    protocol = comparison.protocol
    sources = {
        comparison.judgement(name, metric).source
        for name in candidates
        for metric in comparison.verdict_metrics
    } - {None}
    judged = (
        comparison.judgement(name, metric)
        for name in candidates
        for metric in comparison.verdict_metrics
    )
    n_resamples = max((one.n_resamples or 0 for one in judged), default=0)
    n_images = counted(protocol["n_test_rows"], "test image")
    text = {
        IMAGES: (
            f"The intervals come from {n_resamples:,} resamples of the {n_images}. The seed of the "
            "training and the choice of the training images are not in them: another training "
            "may show another order."
        ),
        IMAGES_AND_SEEDS: (
            f"The intervals contain the choice of the {n_images} and the {protocol['n_runs']} "
            "seeds of the training. The choice of the training images is not in them."
        ),
        SEEDS: (
            f"The intervals contain the {protocol['n_runs']} seeds of the training alone, and "
            "neither the choice of the test images nor that of the training images."
        ),
        FOLDS: (
            "The intervals contain the choice of the training images and of the test images, and "
            f"the seeds, over {protocol['n_runs']} runs of the cross-validation."
        ),
    }
    sentences = [
        text[source] for source in (IMAGES, IMAGES_AND_SEEDS, SEEDS, FOLDS) if source in sources
    ]
    n_tests = n_tests_of(comparison, comparison.verdict_metrics[0])
    if sentences and n_tests > 1:
        sentences.append(
            f"Each interval is that of one strategy at 95 %; better and worse follow p-values that "
            f"are corrected for {n_tests} strategies (Holm)."
        )
    return sentences


def what_settles(comparison, metric, candidates):
    """Say what would tell whether the best mean is more than noise.

    Parameters
    ----------
    comparison : BaseComparison
    metric : str
    candidates : list of str
        The strategies that may be called better.

    Returns
    -------
    list of str
        Sentences; none where the best one is better, or is the baseline.
    """
    better = groups_of(comparison, metric, candidates).get("better")
    best = best_of(comparison, metric, [comparison.baseline, *candidates])
    if better or not best or comparison.baseline in best:
        return []
    judged = comparison.judgement(best[0], metric)
    name = visible_text(best[0])
    sentences = []
    if judged.repeats_can_settle is False:
        protocol = comparison.protocol
        most = largest_shrinkage(protocol["n_runs"], protocol["test_share"])
        sentences.append(
            f"No number of repeats will settle whether {name} is better: they shrink its interval "
            f"by {100 * most:.0f} % at most."
        )
    elif judged.repeats_can_settle:
        sentences.append(f"More repeats (--repeats) may settle whether {name} is better.")
    if judged.more_images == np.inf:
        sentences.append(
            f"No number of test images will settle whether {name} is better, because the seeds "
            "differ too much: run more of them (--repeats)."
        )
    elif np.isfinite(judged.more_images):
        sentences.append(_more_images(comparison, judged, name))
    return sentences


def _more_images(comparison, judged, name):
    what = "more image" if judged.source == FOLDS else "more test image"
    number = counted(float(f"{judged.more_images:.1e}"), what)
    among = ""
    if hasattr(comparison, "minority"):
        label = visible_text(comparison.minority)
        among = f" of class {label}, with the other classes in proportion,"
    return (
        f"About {number}{among} would settle it with a probability of 80 %, if "
        f"{name} is as much better as it seems here."
    )
