"""The metadata of a search, in addition to X and y."""

from skimb._params import safe_indexing
from skimb._routing import routes

__all__ = ["SearchMetadata"]


class SearchMetadata:
    """The metadata that were given to `fit`, in addition to X and y.

    Parameters
    ----------
    given : dict
        All metadata, by the names that the caller used.
    of_training : dict
        Those that the training gets, by the names of `CNNClassifier.fit`.
    """

    def __init__(self, given, of_training):
        self.given, self.of_training = given, of_training

    def of_samples(self, indices):
        """Return the metadata of these samples that the training gets."""
        return {name: safe_indexing(value, indices) for name, value in self.of_training.items()}

    def consumed_by(self, search):
        """Return the metadata that a search by scikit-learn uses, over splits made before."""
        names = set(self.given) - {"groups"}
        if routes():
            names = search.get_metadata_routing().consumes("fit", self.given)
        return {name: self.given[name] for name in names}
