"""
What a miss costs
=================

A defect that is missed costs 20, and a false alarm costs 1. The most probable class is then the
wrong decision: an alarm pays off from a probability of 1 / 21 on.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from skimb.datasets import load_imbalanced_digits
from skimb.inspection import DecisionCurveDisplay
from skimb.metrics import expected_cost
from skimb.model_selection import MinimumCostClassifier
from skimb.neural_network import CNNClassifier

X, y = load_imbalanced_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
costs = {0: {1: 1}, 1: {0: 20}}

# %%
# :class:`~skimb.model_selection.MinimumCostClassifier` decides by the costs.
network = CNNClassifier(calibration="temperature", random_state=0)
cheapest = MinimumCostClassifier(network, cost_matrix=costs).fit(X, y)
network.fit(X, y)
for name, model in {"most probable class": network, "least expected cost": cheapest}.items():
    cost = expected_cost(y_test, model.predict(X_test), cost_matrix=costs)
    print(f"{name}: {1000 * cost:.0f} for 1000 images")

# %%
# Where the costs are not known, the decision curve shows for which of them the model is worth more
# than an alarm for every image, and more than none.
display = DecisionCurveDisplay.from_estimator(network, X_test, y_test)
display.ax_.set_title("What alarms are worth, by what a miss costs")
plt.show()
