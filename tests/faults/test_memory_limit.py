"""A training in a process whose memory is limited by the system."""

import subprocess
import sys
import textwrap

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the limit is set by Linux alone"),
]

SCRIPT = """
    import resource
    import warnings

    import numpy as np
    import torch
    from torch import nn

    from skimb.neural_network import CNNClassifier


    class Wide(nn.Module):
        def __init__(self, n_channels, n_outputs):
            super().__init__()
            self.layer = nn.Conv2d(n_channels, 32, 3, padding=1)
            self.head = nn.Linear(32, n_outputs)

        def forward(self, images):
            return self.head(torch.relu(self.layer(images)).mean((2, 3)))


    X = np.random.RandomState(0).rand(128, 64, 64).astype(np.float32)
    y = np.arange(128) % 2
    clf = CNNClassifier(Wide, batch_size=128, max_epochs=2, augmentation=None, random_state=0)
    warnings.simplefilter("ignore")
    # Libraries and threads are loaded before the limit is set.
    clf.fit(X[:4], y[:4])
    whole = clf.fit(X, y).predict_proba(X)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 50 * 2**20, unlimited[1]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
    resource.setrlimit(resource.RLIMIT_AS, unlimited)
    assert any("does not fit in memory" in str(one.message) for one in caught), caught
    np.testing.assert_allclose(clf.predict_proba(X), whole, rtol=1e-3)
    print("trained")
"""


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_training_goes_on_in_parts_where_the_system_gives_no_more_memory():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "trained"
