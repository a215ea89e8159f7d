"""The cost of decisions as a function of sums over test images, so that resamples are cheap."""

import numpy as np
from scipy.sparse import csr_array

__all__ = ["COST", "FALSE_ALARMS", "CostScores"]

#: The names of the metrics of a deployment.
COST, FALSE_ALARMS = "cost", "false_alarms"


class CostScores:
    """The cost of 1000 images of a deployment, from what the decisions on test images cost.

    The mean cost of the images of each class is weighted by the fraction of that class in the
    deployment, whatever their fractions among the test images.

    Parameters
    ----------
    prior : ndarray of shape (n_classes,)
        The class fractions of the deployment.
    cost_matrix : ndarray of shape (n_classes, n_classes)
        The cost of each decision (column) for each true class (row).

    Attributes
    ----------
    names : list of str
        ``["cost"]``.
    n_classes : int
    is_merged : bool
        True: equal columns of `parts` may be counted instead of kept, because they are few.

    Examples
    --------
    >>> import numpy as np
    >>> from skimb.study._cost_scores import CostScores
    >>> scores = CostScores(np.array([0.9, 0.1]), np.array([[0.0, 1.0], [10.0, 0.0]]))
    >>> parts = scores.parts(truth=np.array([0, 0, 1, 1]), predicted=np.array([0, 1, 0, 1]))
    >>> scores(parts.sum(axis=1)).round().tolist()
    [950.0]
    """

    is_merged = True

    def __init__(self, prior, cost_matrix):
        self.names = [COST]
        self.n_classes = len(prior)
        self.prior = prior
        self.cost_matrix = cost_matrix

    def parts(self, truth, predicted):
        """Return what each test image adds to the sums.

        Parameters
        ----------
        truth, predicted : ndarray of shape (n_test,), int
            Positions of classes.

        Returns
        -------
        sparse array of shape (2 * n_classes, n_test)
            The cost of its decision, by its class, and the samples of each class.
        """
        n, n_classes = len(truth), self.n_classes
        rows = np.r_[truth, n_classes + truth]
        data = np.r_[self.cost_matrix[truth, predicted], np.ones(n)]
        columns = np.tile(np.arange(n), 2)
        return csr_array((data, (rows, columns)), shape=(2 * n_classes, n))

    def class_of(self, metric):
        """Return None: costs are about all samples."""
        return None

    def __call__(self, sums):
        """Return the cost of 1000 images.

        A class without samples has no mean cost: the others stand for it then.

        Parameters
        ----------
        sums : ndarray of shape (..., 2 * n_classes)

        Returns
        -------
        ndarray of shape (..., 1)
        """
        costs, support = np.split(np.asarray(sums, dtype=np.float64), 2, axis=-1)
        is_there = support > 0
        means = np.divide(costs, support, out=np.zeros(costs.shape), where=is_there)
        weight = self.prior * is_there
        total = (weight * means).sum(axis=-1) / weight.sum(axis=-1)
        return 1000 * total[..., None]
