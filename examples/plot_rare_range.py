"""
A rare range of a continuous target
===================================

The target is a number, and its large values are rare. Weights by how rare a value is exchange
errors on common values for smaller ones on rare values.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

from skimb.inspection import TargetDensityDisplay
from skimb.metrics import shot_report
from skimb.relevance import compute_target_weight

rng = np.random.RandomState(0)
X = rng.normal(size=(3000, 5))
y = np.exp(X[:, 0] + 0.5 * X[:, 1] + 0.3 * rng.normal(size=3000)).clip(max=8)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)

# %%
# Errors where the training has many samples, a medium number, and few.
trees = HistGradientBoostingRegressor(random_state=0)
predicted = {
    "as they are": trees.fit(X, y).predict(X_test),
    "weighted": trees.fit(X, y, sample_weight=compute_target_weight("sqrt", y)).predict(X_test),
}
for name, values in predicted.items():
    print(name, shot_report(y_test, values, y_train=y)["mae"].round(3).to_dict())

# %%
# How many samples each value has, and the errors on it.
display = TargetDensityDisplay.from_predictions(y_test, predicted["weighted"])
display.figure_.suptitle("Samples and mean absolute error at each value of the target")
plt.show()
