import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from skimb.datasets import load_imbalanced_digits


@pytest.fixture(scope="session")
def digits():
    """Real images, 20:1, split: X_train, X_test, y_train, y_test with string labels."""
    X, y = load_imbalanced_digits(return_X_y=True)
    y = np.array(["rest", "eight"])[y]
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)


@pytest.fixture(scope="session")
def small_digits(digits):
    """A quarter of the training part, for tests that only need real images."""
    X, _, y, _ = digits
    return train_test_split(X, y, train_size=0.25, stratify=y, random_state=0)[::2]
