"""What the evaluations of classifiers and of regressors share: files, pictures and intervals."""

from abc import ABC, abstractmethod
from os import PathLike
from typing import Any

from skimb._files import write_text
from skimb.study._report_images import gallery_lines
from skimb.study._result_file import write_figures
from skimb.study._sample_images import gallery

__all__ = ["MOST_LISTED", "BaseEvaluation", "intervals_text"]

#: Mistakes that the text lists at most.
MOST_LISTED = 10


def intervals_text(intervals, form):
    """Return the intervals of scores as a line of text.

    Parameters
    ----------
    intervals : dict of str to (float, float)
    form : str
        How a number is written, for `str.format`.

    Returns
    -------
    str
    """
    shown = (
        f"{name} {form.format(low)} to {form.format(high)}"
        for name, (low, high) in intervals.items()
    )
    return f"95 % intervals: {', '.join(shown)}"


class BaseEvaluation(ABC):
    """Template of an evaluation: its text, its JSON file and its HTML file.

    Parameters
    ----------
    X : array-like of n images or paths, or None
    names : sequence of str or None
        The name of each sample in lists of mistakes; None: its number.
    facts : dict or None
        Facts about the model and the data, name to text, which the files state.
    """

    #: "classification" or "regression".
    task: str

    def __init__(self, X, names, facts):
        self.X, self.names, self.facts = X, names, dict(facts or {})

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python objects, in the schema of the JSON file."""

    @abstractmethod
    def _page(self) -> str:
        """Return the HTML page."""

    def _name(self, row):
        return f"sample {row}" if self.names is None else str(self.names[row])

    def _pictures(self, rows, captions):
        """Return the images of some samples as a template shows them."""
        if not rows or self.X is None:
            return []
        return gallery_lines(gallery(self.X, rows, captions), self.names)

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write everything to a JSON file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        write_figures(path, self.to_dict())

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write a report as one HTML file that needs no other, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        write_text(path, self._page())
