"""The scores of a validation part after each epoch."""

import numpy as np

__all__ = ["ValidationScores"]


class ValidationScores:
    """Score the outputs for a validation part after each epoch.

    Parameters
    ----------
    target : Target
        The meaning of the outputs.
    X, y : ndarray; X also paths, or an ImageSource
        The validation part, y in the form of `fit`.
    scorer : callable or None
        A scikit-learn scorer, recorded as ``valid_score``; None: the score of the target.
    watches_loss : bool, default=False
        Record the negative loss of the validation part instead.
    """

    def __init__(self, target, X, y, scorer, *, watches_loss=False):
        self.target, self.X, self.y = target, X, y
        self.scorer, self.watches_loss = scorer, watches_loss

    def __call__(self, outputs, loss):
        """Return records of the history, ``valid_score`` among them."""
        # skorch's `EpochScoring` gives one score per callback, and predicts again for each.
        view, records, score = self.target.judge(outputs, self.y)
        if self.watches_loss:
            score = -loss
        if self.scorer is not None:
            score = float(self.scorer(view, self.X, self.y))
        if np.isnan(score):
            raise ValueError(
                f"`scoring` gives NaN on {self.target.described(self.y)}, so early stopping cannot "
                "use it."
            )
        return {**records, "valid_score": score}
