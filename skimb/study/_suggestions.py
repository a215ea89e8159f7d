"""The samples that were suggested, and their contact sheet."""

import base64
import io
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image
from scipy.special import expit

from skimb._files import write_text
from skimb.study._report import render_page
from skimb.study._sample_images import thumbnails

__all__ = ["Suggestions", "threshold_in_words", "value_in_words"]


def value_in_words(label, score, n_classes):
    """Say how far the probabilities of a sample speak for a class, in the unit of its threshold.

    Parameters
    ----------
    label : label
    score : float
        The logarithm of the ratio of its probability to the highest one of another class.
    n_classes : int

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._suggestions import threshold_in_words, value_in_words
    >>> value_in_words("cat", np.log(3), 2), threshold_in_words(np.log(4), 2)
    ('The probability of cat is 0.750', '0.800')
    >>> value_in_words("cat", np.log(3), 5), threshold_in_words(np.log(4), 5)
    ('The probability of cat is 3 times the highest one of another class', '4 times')
    """
    if n_classes == 2:
        return f"The probability of {label} is {_probability(score)}"
    return f"The probability of {label} is {_times(score)} the highest one of another class"


def threshold_in_words(threshold, n_classes):
    """Return the threshold of a class: a probability, or a multiple of that of another class.

    Parameters
    ----------
    threshold : float
        Of the score, as in `value_in_words`.
    n_classes : int

    Returns
    -------
    str
    """
    return _probability(threshold) if n_classes == 2 else _times(threshold)


def _probability(score):
    value = float(expit(score))
    # The threshold of a recall that is promised may lie far below 0.001, others near 1.
    if value < 0.001:
        return f"{value:.3g}"
    return f"{value:.3f}" if value < 0.9995 else f"{value:.6g}"


def _times(score):
    return f"{np.exp(np.clip(score, -50, 50)):.3g} times"


@dataclass
class Suggestions:
    """Samples to label next, as `suggest` returns them.

    Attributes
    ----------
    table : DataFrame
        One row a sample, in the order of importance: ``row`` (its index in the pool), ``file``
        (None for arrays), ``class`` (the class that asks about it), ``predicted`` (the label by the
        classifier), ``probability`` (of the class that asks), ``score`` (the logarithm of the ratio
        of that probability to the highest one of another class) and ``reason``.
    thresholds : DataFrame
        One row a class: ``class``, ``threshold`` (of its score), ``source`` and ``asked`` (samples
        in the table).
    errors : DataFrame
        Files that could not be read: ``row``, ``file`` and ``error``.
    n_pool : int
        Samples of the pool.
    n_known : int
        Samples of the pool that are labelled already.
    n_copies : int
        Samples that were passed over as copies of chosen ones.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study import PoolScores, suggestions_of
    >>> proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> pool = PoolScores(np.array([0, 1]), np.arange(3), proba, proba.argmax(axis=1), None, "abc")
    >>> suggestions_of(pool, n=2, random_state=0).thresholds["asked"].tolist()
    [0, 2]
    """

    table: Any
    thresholds: Any
    errors: Any
    n_pool: int
    n_known: int
    n_copies: int
    images: Any = field(repr=False, default=None)
    shape: dict[str, Any] = field(repr=False, default_factory=dict)

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write a contact sheet, on which a labeller can tick, as one HTML file.

        Parameters
        ----------
        path : str or Path
            The file.

        Raises
        ------
        ValueError
            If the samples are no images.
        """
        groups = []
        for label in self.thresholds["class"]:
            chosen = self.table[self.table["class"] == label]
            if len(chosen):
                pictures = thumbnails(self.images, {label: chosen["row"].tolist()}, **self.shape)
                shown = zip(chosen.index, chosen.to_dict("records"), pictures[label], strict=True)
                groups.append(
                    (label, [(number + 1, facts, _source(image)) for number, facts, image in shown])
                )
        groups.sort(key=lambda group: group[1][0][0])
        labels = self.thresholds["class"].tolist()
        thresholds = {
            facts["class"]: (threshold_in_words(facts["threshold"], len(labels)), facts["source"])
            for facts in self.thresholds.to_dict("records")
        }
        shown = {"groups": groups, "labels": labels, "thresholds": thresholds}
        write_text(path, render_page("suggestions.html.j2", found=self, **shown))


def _source(pixels):
    """Return pixels as the source of an HTML image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
