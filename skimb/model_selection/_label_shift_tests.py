"""Tests of label shift: that only the fractions of the classes changed, and nothing else."""

import numpy as np

__all__ = ["ScoreDistributions", "agreement_pvalue", "combined_pvalue"]

#: The most numbers in a block of indicators.
MOST_CELLS = 2**24

#: Thresholds per class, and in all.
MOST_THRESHOLDS, MOST_IN_ALL = 24, 960


def agreement_pvalue(difference, draws):
    """Test whether two estimates of the prior agree, by their differences in a bootstrap.

    The statistic is the largest difference of a class in standard deviations.

    Parameters
    ----------
    difference : ndarray of shape (n_classes,)
        The difference of the two estimates.
    draws : ndarray of shape (n_draws, n_classes)
        Their differences in each draw.

    Returns
    -------
    float
    """
    scale = draws.std(axis=0)
    used = scale > 1e-9
    if not used.any():
        return 1.0
    seen = (np.abs(difference) / np.where(used, scale, 1))[used].max()
    drawn = (np.abs(draws - difference)[:, used] / scale[used]).max(axis=1)
    return float((1 + (drawn >= seen).sum()) / (1 + len(draws)))


class ScoreDistributions:
    r"""A two-sample test of scores: unlabelled ones against labelled ones of the estimated prior.

    The statistic is the mean square of the differences of distribution functions, over thresholds
    and classes: that of the unlabelled scores, minus :math:`\sum_k \pi_k F_k` of the labelled ones.
    The differences of a bootstrap, minus those that were seen, say how large it is by chance.

    Parameters
    ----------
    unlabelled : ndarray of shape (n, n_classes)
        Scores of unlabelled samples.
    labelled : LabelledScores
        Its corrected log-probabilities are the scores.
    """

    def __init__(self, unlabelled, labelled):
        self.unlabelled, self.labelled = unlabelled, labelled
        n_classes = unlabelled.shape[1]
        # The scores of two classes say the same.
        self.columns = [1] if n_classes == 2 else list(range(n_classes))
        n_thresholds = max(3, min(MOST_THRESHOLDS, MOST_IN_ALL // len(self.columns)))
        levels = np.linspace(0, 1, n_thresholds + 2)[1:-1]
        self.thresholds = [
            (np.quantile(unlabelled[:, k], levels) + np.quantile(labelled.calibrated[:, k], levels))
            / 2
            for k in self.columns
        ]

    def differences(self, prior, weight, weight_labelled):
        """Return the differences of the distribution functions.

        Parameters
        ----------
        prior : ndarray of shape (n_draws, n_classes)
            The estimated priors.
        weight : ndarray of shape (n_draws, n)
            Weights of the unlabelled samples.
        weight_labelled : ndarray of shape (n_draws, m)
            Weights of the labelled samples, which sum to the number of samples in each class.

        Returns
        -------
        ndarray of shape (n_draws, n_thresholds)
        """
        target, counts = self.labelled.target, self.labelled.counts
        own = weight_labelled * (prior / counts)[:, target]
        return self._functions(self.unlabelled, weight / weight.shape[1]) - self._functions(
            self.labelled.calibrated, own
        )

    def _functions(self, scores, weight):
        """Return weighted distribution functions at the thresholds, by blocks of samples."""
        n_thresholds = sum(map(len, self.thresholds))
        size = max(1, MOST_CELLS // n_thresholds)
        total = np.zeros((len(weight), n_thresholds))
        for start in range(0, len(scores), size):
            rows = slice(start, start + size)
            below = np.concatenate(
                [
                    scores[rows, k, None] <= values
                    for k, values in zip(self.columns, self.thresholds, strict=True)
                ],
                axis=1,
            )
            total += weight[:, rows] @ below.astype(np.float64)
        return total

    def pvalue(self, seen, draws):
        """Return the p-value of the differences that were seen.

        Parameters
        ----------
        seen : ndarray of shape (n_thresholds,)
        draws : ndarray of shape (n_draws, n_thresholds)

        Returns
        -------
        float
        """
        statistic = (seen**2).mean()
        drawn = ((draws - seen) ** 2).mean(axis=1)
        return float((1 + (drawn >= statistic).sum()) / (1 + len(draws)))


def combined_pvalue(pvalues):
    """Return one p-value for several tests of one assumption, by Bonferroni's correction."""
    return float(min(1.0, len(pvalues) * min(pvalues)))
