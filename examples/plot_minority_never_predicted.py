"""
A minority class that is never predicted
========================================

Two classes overlap, and one of 30 samples is of the minority class. A network that is right as
often as possible hardly ever predicts it. What it has learned is not lost: its probabilities rank
the samples well, and only the decision has to move.
"""

# %%
# The images are noise, and those of the minority class are a little brighter.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

from skimb.inspection import PerClassDisplay
from skimb.model_selection import TunedOffsetsClassifierCV
from skimb.neural_network import CNNClassifier

rng = np.random.RandomState(0)


def draw(n_samples):
    y = np.where(rng.rand(n_samples) < 1 / 30, "rare", "common")
    brightness = 0.25 * (y == "rare")
    return rng.normal(brightness[:, None, None], size=(n_samples, 8, 8)).astype(np.float32), y


X, y = draw(4000)
X_held, y_held = draw(2000)
X_test, y_test = draw(3000)

# %%
# The network as it is. Its accuracy is as high as that of the answer "common" for every image.
network = CNNClassifier("linear", max_epochs=15, random_state=0).fit(X, y)
rare = network.predict_proba(X_test)[:, 1]
print("accuracy:", round(network.score(X_test, y_test), 3))
print("predicted as rare:", np.sum(network.predict(X_test) == "rare"))
print("ROC AUC:", round(roc_auc_score(y_test == "rare", rare), 3))

# %%
# :class:`~skimb.model_selection.TunedOffsetsClassifierCV` moves the decision so that the F1 of the
# minority class is as high as possible on held-out samples. Class weights move it in the training.
tuned = TunedOffsetsClassifierCV(FrozenEstimator(network)).fit(X_held, y_held)
weighted = CNNClassifier("linear", class_weight="balanced", max_epochs=15, random_state=0)
weighted.fit(X, y)

# %%
# Precision is what a higher recall costs. Which of the two decisions is the better one depends on
# what a miss costs: :ref:`sphx_glr_auto_examples_plot_cost_of_a_miss.py`.
models = {"as it is": network, "tuned offset": tuned, "class weights": weighted}
figure, axes = plt.subplots(3, 1, figsize=(6.4, 8), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    PerClassDisplay.from_predictions(y_test, model.predict(X_test), ax=ax)
    ax.set_title(name, loc="right")
figure.suptitle("Precision, recall and F1 of both classes")
plt.show()
