"""The forward pass of a training step: its precision, and whether the network is compiled."""

import torch

from skimb._engine._memory import is_out_of_memory

__all__ = ["PRECISIONS", "StepForward", "step_dtype"]

#: What `precision` of an estimator may be.
PRECISIONS = ("auto", "bfloat16", "float32")


def step_dtype(precision, *, is_captured):
    """Return the dtype in which the layers of a training step compute.

    Parameters
    ----------
    precision : {"auto", "bfloat16", "float32"}
        As in `CNNClassifier`.
    is_captured : bool
        Whether the step is captured in a CUDA graph.

    Returns
    -------
    torch.dtype
    """
    if precision != "auto":
        return getattr(torch, precision)
    # Steps that are launched kernel by kernel wait for the processor, and conversions are further
    # kernels: on an H100, four of five networks trained more slowly in bfloat16 then.
    if is_captured and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


class StepForward:
    """Run the module of a net in a training step.

    Predictions are made by the module as it is, in float32: with the 8 bits of bfloat16, many
    samples would have equal probabilities.

    Parameters
    ----------
    device : torch.device
        The device of the module.
    dtype : torch.dtype, default=torch.float32
        The dtype in which layers compute where `torch.autocast` allows it; outputs are float32.
    is_compiled : bool, default=False
        Whether `torch.compile` compiles the module.
    """

    def __init__(self, device, dtype=torch.float32, *, is_compiled=False):
        self.device, self.dtype, self.is_compiled = device, dtype, is_compiled
        self._compiled = None

    def __call__(self, module, images):
        """Return the outputs, float32, of a module in training mode."""
        run = self._run_compiled if self.is_compiled else type(module).__call__
        if self.dtype == torch.float32:
            return run(module, images)
        with torch.autocast(self.device.type, self.dtype):
            return run(module, images).to(torch.float32)

    def _run_compiled(self, module, images):
        if self._compiled is None:
            self._compiled = torch.compile(module)
        try:
            return self._compiled(images)
        except RuntimeError as exc:
            if is_out_of_memory(exc):
                raise
            reason = str(exc).splitlines()[0]
            # The network has passed the trial step as it is.
            raise ValueError(
                f"compile=True fails: torch.compile cannot compile the network ({reason}). "
                "On a CPU it needs a C++ compiler, such as g++. Use compile=False."
            ) from exc
