"""Comparison: the result of compare() for labels."""

import numpy as np

from skimb._drawn_text import visible_text
from skimb.study._classification_report import classification_report
from skimb.study._comparison import BaseComparison
from skimb.study._listed_mistakes import listed_mistakes

__all__ = ["Comparison"]


class Comparison(BaseComparison):
    """The result of `compare`, for labels.

    Parameters
    ----------
    outcomes : dict of str to list of ClassificationOutcome
        Strategy to its result in each run; the baseline first.
    chosen : dict of str to Strategy
        The strategies by name.
    classes : ndarray of shape (n_classes,)
        Labels.
    counts : ndarray of shape (n_classes,)
        Samples of each class.
    minority : label
        The minority class.
    protocol : dict
        Folds, repeats, training and versions.
    samples : dict
        Label to a few images, uint8.
    mistakes : dict of str to Gallery
        Strategy to the most confident mistakes of each true class, over all runs.

    Attributes
    ----------
    protocol : dict
        Folds, repeats, samples, gradient steps, and warnings that were raised.
    search : Search or None
        The search that chose the strategies, as `skimb.study.find_strategy` sets it.
    more_images : MoreImages or None
        A learning curve of one class that belongs to the comparison, as `skimb.study.more_images`
        returns it: whoever has one sets it, and texts, files and reports then show it.
    """

    _verdict_metrics = ("f1_minority", "balanced_accuracy")
    _other_metrics = ("precision_minority", "recall_minority")

    def __init__(self, outcomes, *, chosen, classes, counts, minority, protocol, samples, mistakes):
        self.outcomes = outcomes
        self.chosen = chosen
        self.samples = samples
        self.mistakes = mistakes
        self.classes = classes
        self.counts = counts
        self.protocol = protocol
        self.minority = minority
        self.more_images = self.search = None

    def confusion_matrix(self, name):
        """Return the confusion matrix of a strategy, summed over all runs.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        ndarray of shape (n_classes, n_classes)
            True classes in rows.
        """
        return np.sum([outcome.confusion_matrix for outcome in self.outcomes[name]], axis=0)

    def predictions(self, name):
        """Return the predictions of a strategy for the test samples of each run.

        Parameters
        ----------
        name : str
            The strategy.

        Returns
        -------
        list of Predictions
        """
        return [outcome.predictions for outcome in self.outcomes[name]]

    def _details(self, name):
        return {
            "confusion_matrix": self.confusion_matrix(name).tolist(),
            "mistakes": listed_mistakes(
                self.outcomes[name], self.classes.tolist(), self.files, self.test_rows
            ),
        }

    def _target(self):
        found = {"minority": self.minority, "classes": self.classes.tolist()}
        if self.more_images is not None:
            found["more_images"] = self.more_images.to_dict()
        if self.search is not None:
            found["search"] = self.search.to_dict()
        return found

    def __str__(self):
        """Return the table for a terminal, the search, and whether more images would help."""
        text = super().__str__()
        if shared := self.protocol.get("shared_features"):
            text += (
                f"\nshared features: {', '.join(map(visible_text, shared))} are last layers of the "
                f"network of {visible_text(self.baseline)}; what they would change in its features "
                "is not seen"
            )
        further = [each for each in (self.search, self.more_images) if each is not None]
        return "\n\n".join(map(str, [text, *further]))

    def _report(self):
        return classification_report(self)
