"""Embeddings in two dimensions, with synthetic samples and their parents."""

from typing import Any, Self

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from skimb._messages import shown
from skimb._plans import origin_of
from skimb._unpacking import plain_vector, unpacked
from skimb.class_weight import class_counts
from skimb.inspection._drawn_classes import COLOURS, GREY, MARKERS, drawn_classes
from skimb.inspection._layout import keep_inside, new_axes, put_legend

__all__ = ["EmbeddingDisplay"]

#: The most classes that have a colour and a marker of their own.
MOST_NAMED = 10

#: The most samples, and the most synthetic samples, that are drawn of a class.
MOST_SAMPLES, MOST_SYNTHETIC = 500, 100

#: Neighbours that t-SNE looks at.
PERPLEXITY = 30


class EmbeddingDisplay:
    """Embeddings of samples as points in two dimensions, by class, with synthetic samples.

    A synthetic sample is a hollow mark, with lines to the two samples between which it was made.
    Lines across another class show where a sampler makes samples that are not of their class. The
    projection loses most of the distances: use it to look, and not to measure.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        The samples.
    labels : ndarray of shape (n,)
        Their labels.
    synthetic : ndarray of shape (m, 2), default=None
        The synthetic samples.
    synthetic_labels : ndarray of shape (m,), default=None
        Their labels.
    parents : ndarray of shape (m, 2), int, default=None
        The parents of each, as rows of `points`.
    classes : list of labels, default=None
        The classes in colour; the others are grey. None: all, up to ten; of more, the ten smallest.
    axis_names : tuple of two str, default=("", "")
        The names of the two dimensions.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.
    figure_ : matplotlib Figure
        The figure of the axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import make_blobs
    >>> from skimb.inspection import EmbeddingDisplay
    >>> from skimb.over_sampling import SMOTE
    >>> embedded, y = make_blobs([60, 8], n_features=16, random_state=0)
    >>> display = EmbeddingDisplay.from_embeddings(embedded, y, sampler=SMOTE(random_state=0))
    >>> display.points.shape, display.synthetic.shape, display.parents.shape
    ((68, 2), (52, 2), (52, 2))
    """

    def __init__(
        self,
        points,
        labels,
        *,
        synthetic: Any = None,
        synthetic_labels: Any = None,
        parents: Any = None,
        classes: Any = None,
        axis_names=("", ""),
    ):
        self.points = points
        self.labels = labels
        self.synthetic = synthetic
        self.synthetic_labels = synthetic_labels
        self.parents = parents
        self.classes = classes
        self.axis_names = axis_names

    @classmethod
    def from_embeddings(
        cls,
        embedded: Any,
        y: Any,
        *,
        sampler: Any = None,
        projection: str = "pca",
        classes: Any = None,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
        """Plot embeddings.

        Parameters
        ----------
        embedded : array-like of shape (n, d)
            Embeddings of samples.
        y : array-like of shape (n,)
            Their labels.
        sampler : sampler, default=None
            An over-sampler of skimb; a clone resamples the embeddings, and its synthetic samples
            are drawn with their parents. None: the samples alone.
        projection : {"pca", "tsne"}, default="pca"
            ``"pca"``: the two directions in which the samples differ most, with their fractions of
            the variance; synthetic samples then lie on the lines between their parents.
            ``"tsne"``: t-SNE of scikit-learn, of samples and synthetic samples together, which
            keeps neighbours and no distances.
        classes : label or list of labels, default=None
            The classes in colour; the others are grey. None: all, up to ten; of more, the ten
            smallest.
        random_state : int, RandomState instance or None, default=0
            It determines t-SNE, and which samples are drawn of a class with more than 500, or with
            more than 100 synthetic ones.
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ValueError
            If embeddings are no finite matrix of two columns or more, labels do not fit, or the
            sampler does not tell the parents of synthetic samples.
        """
        if projection not in ("pca", "tsne"):
            raise ValueError(f"`projection` must be 'pca' or 'tsne'. Got {projection!r}.")
        if sampler is not None and not hasattr(sampler, "fit_resample"):
            raise ValueError(
                "`sampler` must be an over-sampler, such as skimb.over_sampling.SMOTE(). Got "
                f"{shown(sampler)}."
            )
        embedded = check_array(
            unpacked(embedded, "embedded"),
            ensure_min_samples=3,
            ensure_min_features=2,
            input_name="embedded",
            dtype=np.float64,
        )
        y = plain_vector(y)
        check_consistent_length(embedded, y)
        if classes is not None:
            classes = drawn_classes(classes, np.unique(y))
        rng = check_random_state(random_state)
        made, made_labels, parents = _synthetic(sampler, embedded, y)
        drawn_made = _some_of_each(made_labels, MOST_SYNTHETIC, rng)
        made, made_labels, parents = made[drawn_made], made_labels[drawn_made], parents[drawn_made]
        drawn = _some_of_each(y, MOST_SAMPLES, rng)
        # Parents are drawn whatever the number of samples.
        drawn = np.union1d(drawn, parents.ravel())
        parents = np.searchsorted(drawn, parents)
        if projection == "pca":
            pca = PCA(2, random_state=0).fit(embedded)
            points, made = (
                pca.transform(embedded[drawn]),
                pca.transform(made) if len(made) else made,
            )
            names = tuple(
                f"component {k} ({part:.0%})"
                for k, part in enumerate(pca.explained_variance_ratio_, start=1)
            )
        else:
            both = np.concatenate([embedded[drawn], made])
            tsne = TSNE(
                perplexity=min(PERPLEXITY, (len(both) - 1) / 3),
                random_state=rng.randint(2**31 - 1),
            )
            both = tsne.fit_transform(both)
            points, made = both[: len(drawn)], both[len(drawn) :]
            names = ("t-SNE 1", "t-SNE 2")
        synthetic: dict[str, Any] = {}
        if sampler is not None:
            synthetic = {"synthetic": made, "synthetic_labels": made_labels, "parents": parents}
        display = cls(points, y[drawn], **synthetic, classes=classes, axis_names=names)
        return display.plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sampler: Any = None,
        projection: str = "pca",
        classes: Any = None,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
        """Plot the embeddings of samples by a fitted network.

        Parameters
        ----------
        estimator : CNNClassifier, CNNRegressor or CNNEmbedder
            Fitted, with ``embed``; or a transformer, whose ``transform`` gives the embeddings.
        X : array-like of n samples
            Samples that it reads.
        y, sampler, projection, classes, random_state, ax
            As in `from_embeddings`.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ValueError
            As in `from_embeddings`, and if the estimator gives no embeddings.
        """
        check_is_fitted(estimator)
        embed = getattr(estimator, "embed", None) or getattr(estimator, "transform", None)
        if embed is None:
            raise ValueError(
                f"{type(estimator).__name__} has neither `embed` nor `transform`. Give a "
                "CNNClassifier or a CNNEmbedder, or embeddings to `from_embeddings`."
            )
        y = plain_vector(y)
        check_consistent_length(X, y)
        return cls.from_embeddings(
            embed(X),
            y,
            sampler=sampler,
            projection=projection,
            classes=classes,
            random_state=random_state,
            ax=ax,
        )

    def plot(self, *, ax: Any = None) -> Self:
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to plot on. None: a new figure.

        Returns
        -------
        self
        """
        labels = np.asarray(self.labels)
        counts = class_counts(labels)
        named = self.classes
        if named is None:
            named = sorted(counts, key=counts.__getitem__)[:MOST_NAMED]
            named = [label for label in counts if label in named]
        if ax is None:
            ax = new_axes(7.6, 4.8)
        entries = []
        others = ~np.isin(labels, named)
        if others.any():
            size = {"s": 9, "color": GREY, "linewidths": 0, "alpha": 0.6, "zorder": 1}
            mark = ax.scatter(*self.points[others].T, **size)
            n_others = len(counts) - len(named)
            entries.append((mark, f"{n_others} other class{'es' if n_others > 1 else ''}"))
        has_made = self.synthetic is not None and len(self.synthetic) > 0
        # The smallest classes are drawn last, above the others.
        for label in sorted(named, key=counts.__getitem__, reverse=True):
            k = named.index(label)
            colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
            ax.scatter(
                *self.points[labels == label].T,
                s=20,
                color=colour,
                marker=marker,
                linewidths=0,
                alpha=0.75,
                zorder=2,
            )
            if has_made:
                of_class = np.asarray(self.synthetic_labels) == label
                self._draw_made(ax, of_class, colour, marker)
        for k, label in enumerate(named):
            style: dict[str, Any] = {
                "color": COLOURS[k % len(COLOURS)],
                "marker": MARKERS[k % len(MARKERS)],
            }
            entries.insert(k, (Line2D([], [], linestyle="", markersize=5, **style), label))
        if has_made:
            line = Line2D([], [], color="0.35", marker="o", markersize=5, linewidth=0.7)
            line.set_markerfacecolor("white")
            entries.append((line, "synthetic"))
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1], xticks=[], yticks=[])
        ax.spines[["top", "right"]].set_visible(False)
        put_legend(ax, entries)
        keep_inside(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_made(self, ax, chosen, colour, marker):
        """Draw the synthetic samples of a class, and lines to their parents."""
        made, parents = np.asarray(self.synthetic)[chosen], np.asarray(self.parents)[chosen]
        lines = [
            [made[i], self.points[parent]] for i, pair in enumerate(parents) for parent in pair
        ]
        ax.add_collection(
            LineCollection(lines, colors=colour, linewidths=0.6, alpha=0.45, zorder=2.5)
        )
        ax.scatter(
            *made.T, s=16, facecolors="white", edgecolors=colour, marker=marker, linewidths=0.9,
            zorder=3,
        )  # fmt: skip


def _synthetic(sampler, embedded, y):
    """Return synthetic samples, their labels, and their parents as rows of the samples."""
    if sampler is None:
        return embedded[:0], y[:0], np.empty((0, 2), dtype=np.intp)
    sampler = clone(sampler)
    resampled, labels = sampler.fit_resample(embedded, y)
    parents = getattr(sampler, "parents_", None)
    if parents is None or getattr(sampler, "sample_indices_", None) is None:
        raise ValueError(
            f"{type(sampler).__name__} does not tell the parents of synthetic samples: it has no "
            "`parents_`. Give an over-sampler of skimb, such as skimb.over_sampling.SMOTE()."
        )
    made = np.flatnonzero(origin_of(sampler) < 0)
    return np.asarray(resampled)[made], np.asarray(labels)[made], np.asarray(parents)


def _some_of_each(labels, most, rng):
    """Return the rows of at most so many samples of each label, sorted."""
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:most] for label in np.unique(labels)
    ]
    return np.sort(np.concatenate([np.empty(0, dtype=np.intp), *chosen]))
