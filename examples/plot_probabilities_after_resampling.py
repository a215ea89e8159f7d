"""
Probabilities after resampling
==============================

SMOTE balances the classes of the training, so that the classifier believes in a world in which both
are equally frequent. Its probabilities of the minority class are far too high where they are not.
:class:`~skimb.model_selection.BiasCorrectedCalibrator` takes that back.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from sklearn.linear_model import LogisticRegression

from skimb.inspection import ReliabilityDisplay
from skimb.metrics import classwise_calibration_error
from skimb.model_selection import BiasCorrectedCalibrator

rng = np.random.RandomState(0)


def draw(n_samples):
    y = (rng.rand(n_samples) < 0.1).astype(int)
    return rng.normal(0.8 * y[:, None], size=(n_samples, 3)), y


X, y = draw(3000)
X_test, y_test = draw(20_000)
resampled = make_pipeline(SMOTE(random_state=0), LogisticRegression())

# %%
# The calibrator holds samples out before the resampling, and finds one temperature and one bias for
# each class on them.
models = {
    "after SMOTE": resampled.fit(X, y),
    "calibrated": BiasCorrectedCalibrator(resampled, random_state=0).fit(X, y),
}
for name, model in models.items():
    error = classwise_calibration_error(y_test, model.predict_proba(X_test))
    print(f"{name}: calibration error {error:.3f}")

# %%
# A point below the diagonal is a probability that is too high: those of class 1, the minority.
figure, axes = plt.subplots(2, 1, figsize=(6.4, 8.4), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    ReliabilityDisplay.from_estimator(model, X_test, y_test, classes=[0, 1], ax=ax)
    ax.set_title(name)
figure.suptitle("How often a class occurs, by its predicted probability")
plt.show()
