"""The form of X and y that a fitted estimator reads, for the use of its net on its own."""

from sklearn.base import BaseEstimator

from skimb._engine import dataset_of
from skimb._images import check_images

__all__ = ["NetInput"]

#: The attributes of an estimator that `check_images` reads.
LEARNED = (
    "n_features_in_",
    "feature_names_in_",
    "image_shape_",
    "value_range_",
    "_fitted_on_rows",
    "_given_range",
    "_image_column",
    "table_encoder_",
)


class NetInput(BaseEstimator):
    """Turn X and y, in the form that an estimator was fitted on, into a data set of the engine.

    Parameters
    ----------
    channels : {"first", "last"} or None
        As in `CNNClassifier`.
    target : Target
        The object that reads y.
    """

    def __init__(self, channels, target):
        self.channels = channels
        self.target = target

    def learn_from(self, estimator):
        """Take the form of X from a fitted estimator; return self."""
        learned = vars(estimator)
        self.__dict__.update({name: learned[name] for name in LEARNED if name in learned})
        return self

    def __call__(self, X, y=None):
        """Return a data set; without y, a data set for predictions."""
        images = check_images(self, X, channels=self.channels)
        if y is None:
            return dataset_of(images)
        target = self.target.read(y)
        if len(target) != len(images):
            raise ValueError(
                f"X and y must be of one length. X holds {len(images)} samples, y {len(target)}."
            )
        return dataset_of(images, self.target.encode(target))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
