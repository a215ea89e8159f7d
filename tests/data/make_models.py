"""Write the models of this folder again: ``python tests/data/make_models.py``.

The files were written by the first version that saves models, and later versions must read them:
write them again only if their layout has a new version, and keep the old ones then.
"""

from pathlib import Path
from typing import Any

import numpy as np

from skimb.losses import BalancedMSELoss
from skimb.neural_network import CNNClassifier, CNNRegressor, DecoupledClassifier, save

FOLDER = Path(__file__).parent


def main():
    """Fit three small models, and write them with some images and their predictions."""
    X = np.random.RandomState(0).rand(60, 5, 5).astype(np.float32)
    labels = np.array(["cat", "dog", "owl"])[np.arange(60) % 7 // 3]
    quick: dict[str, Any] = {"max_epochs": 2, "batch_size": 20, "random_state": 0, "device": "cpu"}
    classifier = CNNClassifier(
        "linear",
        loss="ldam",
        augmentation="flip_crop",
        calibration="temperature",
        target_prior="uniform",
        validation_fraction=0.3,
        value_range=(0, 1),
        **quick,
    ).fit(X, labels)
    regressor = CNNRegressor("linear", loss=BalancedMSELoss(form="binned"), **quick)
    decoupled = DecoupledClassifier(
        CNNClassifier("linear", **quick), head="learnable_scales", max_epochs=2, random_state=0
    )
    regressor.fit(X, X.mean((1, 2)) * 100)
    decoupled.fit(X, labels)
    for name, model in [
        ("classifier", classifier),
        ("regressor", regressor),
        ("decoupled", decoupled),
    ]:
        save(model, FOLDER / f"{name}.skimb", metadata={"made_by": "make_models.py"})
    np.savez(
        FOLDER / "predictions.npz",
        X=X[:10],
        classifier=classifier.predict_log_proba(X[:10]),
        regressor=regressor.predict(X[:10]),
        decoupled=decoupled.predict_log_proba(X[:10]),
    )


if __name__ == "__main__":
    main()
