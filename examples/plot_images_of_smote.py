"""
Images that SMOTE makes
=======================

:class:`~skimb.over_sampling.SMOTE` blends two images of the minority class. If neighbours
are found by pixels, the result often shows two different images on top of each other. If they are
found in an embedding, the two images are at least similar.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.decomposition import PCA

from skimb.datasets import load_imbalanced_digits
from skimb.over_sampling import SMOTE

X, y = load_imbalanced_digits(return_X_y=True)
sampler = SMOTE(embedder=PCA(10), random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)
print(f"{len(X)} images, {len(X_resampled)} after SMOTE, as {X_resampled.dtype}")

# %%
# ``parents_`` and ``gaps_`` tell what each new image is made of.
figure, axes = plt.subplots(3, 8, figsize=(7, 3.4), layout="constrained")
for column, row in zip(axes.T, range(8), strict=True):
    first, second = sampler.parents_[row]
    images = X[first], X_resampled[len(X) + row], X[second]
    for ax, image in zip(column, images, strict=True):
        ax.imshow(image, cmap="gray_r")
        ax.set(xticks=[], yticks=[])
for ax, label in zip(axes[:, 0], ("parent", "new", "parent"), strict=True):
    ax.set_ylabel(label)
figure.suptitle("New images of the digit 8, each between its parents")
plt.show()
