"""What wrappers around a regressor share: what they read, and the metadata that they pass on."""

from typing import Any

from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter

from skimb.model_selection._wrapped_fits import routing_of_wrapped

__all__ = ["RegressorWrapper"]


class RegressorWrapper(CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """A regressor around another one, its parameter `estimator`, which is ``estimator_`` fitted."""

    estimator: Any
    estimator_: Any

    #: The regressor uses them; the wrapper counts each sample once.
    __metadata_request__fit = {"sample_weight": UNUSED}

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata the wrapped regressor requests.

        Returns
        -------
        MetadataRouter
        """
        return routing_of_wrapped(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.regressor_tags = inner.regressor_tags or tags.regressor_tags
        return tags
