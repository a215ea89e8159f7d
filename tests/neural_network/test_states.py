"""The state of the parts of a training: values come back as they were, in place."""

from collections import Counter, OrderedDict, deque
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from skimb._engine._states import decoded, encoded, load_object, module_state, object_state

HOST = torch.device("cpu")


def there_and_back(value):
    return decoded(*encoded(value), HOST)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(2.5),
        torch.zeros(0, 3),
        torch.arange(12).reshape(3, 4).T,
        torch.rand(4, 3, 5, 5).to(memory_format=torch.channels_last),
        torch.rand(8, 1, 3, 3).to(memory_format=torch.channels_last),
        torch.rand(2, 5)[:, ::2],
        torch.rand(3, 1).expand(3, 4),
        torch.rand(5).to(torch.bfloat16),
        torch.rand(5).half(),
        torch.tensor([True, False]),
        torch.arange(3, dtype=torch.uint8),
    ],
    ids=map(str, range(11)),
)
def test_tensors_come_back_with_their_strides(tensor):
    made = there_and_back({"a": [tensor]})["a"][0]
    assert torch.equal(made, tensor)
    assert made.dtype == tensor.dtype
    # Of a tensor whose elements share memory, the dense form.
    assert made.stride() == torch.empty_like(tensor).stride()
    made += 0 if made.dtype != torch.bool else False


def test_collections_keep_their_types():
    value = {
        "counter": Counter({3: 2}),
        "ordered": OrderedDict(a=torch.ones(2)),
        "deque": deque([1, 2], maxlen=2),
        "numbers": (1, np.float32(2), float("inf")),
    }
    made = there_and_back(value)
    assert [type(part) for part in made.values()] == [Counter, OrderedDict, deque, tuple]
    assert made["deque"].maxlen == 2
    assert made["counter"][3] == 2
    assert made["numbers"] == (1, 2, float("inf"))


def test_a_value_of_another_type_is_refused():
    with pytest.raises(ValueError, match="is no plain value"):
        encoded({"lock": object()})
    with pytest.raises(ValueError, match="is no plain value"):
        encoded(torch.eye(3).to_sparse())


class Step:
    """A step with all that may have state."""

    def __init__(self, seed):
        self.rng = np.random.RandomState(seed)
        self.same = self.rng
        self.other = np.random.default_rng(seed)
        self.torch = torch.Generator().manual_seed(seed)
        self.inner = [SimpleNamespace(n_calls=seed), nn.BatchNorm1d(2)]
        self.by_name = {"one": SimpleNamespace(values=torch.full((2,), float(seed)))}
        self.function, self.owner = len, self


def test_objects_go_on_in_place_and_share_what_they_shared():
    one, other = Step(1), Step(2)
    with torch.no_grad():
        one.inner[1].running_mean += 5
    one.rng.rand()
    norm, rng = other.inner[1], other.rng
    load_object(other, there_and_back(object_state(one, "the step")))
    assert other.rng is other.same is rng
    assert other.owner is other
    assert other.inner[1] is norm
    assert torch.equal(norm.running_mean, one.inner[1].running_mean)
    assert other.inner[0].n_calls == 1
    assert torch.equal(other.by_name["one"].values, one.by_name["one"].values)
    for name in ("rng", "other"):
        assert getattr(one, name).normal() == getattr(other, name).normal()
    drawn = [torch.rand(1, generator=step.torch) for step in (one, other)]
    assert torch.equal(*drawn)


def test_parameters_in_lists_stay_those_of_the_network():
    layer = nn.Linear(2, 2)
    step = SimpleNamespace(parameters=list(layer.parameters()))
    before = step.parameters[0]
    load_object(step, there_and_back(object_state(step, "the step")))
    assert step.parameters[0] is before


def test_the_state_of_a_module_has_what_its_state_dict_lacks():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)
            self.register_buffer("seen", torch.zeros(2), persistent=False)
            self.n_calls, self.losses = 3, [torch.ones(1)]

    state = module_state(Counting())
    assert set(state["buffers"]) == {"seen"}
    assert set(state["attributes"]) == {""}
    assert set(state["attributes"][""]) == {"n_calls", "losses"}
