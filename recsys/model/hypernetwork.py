"""Context → head weights, in one forward pass. At step 0 the model is the best shared one (HyperInit).

Source: Ha et al., HyperNetworks (ICLR 2017); Beck et al., Hypernetworks in meta-RL (CoRL 2022) for starting at the
shared solution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.model.head import HeadConfig, HeadWeights, head_size, unflatten


class Hypernetwork(nn.Module):
    """A small perceptron from normalised statistics (and, for kinds that act on it, the state) to a head.

    Args:
        config: the head's kind and the network's width.
        n_statistics: how many statistics a context has.
        n_experts: how many experts the head weighs.
        width: size of the body's state.
    """

    shared: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, config: HeadConfig, n_statistics: int, n_experts: int, width: int) -> None:
        super().__init__()
        self.config, self.n_experts, self.width = config, n_experts, width
        n_inputs = n_statistics + (0 if config.kind == "gains" else width)
        size = head_size(config, n_experts, width)
        last = nn.Linear(config.hidden, size)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            nn.Linear(n_inputs, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            last,
        )
        self.register_buffer("shared", torch.zeros(size))
        self.register_buffer("mean", torch.zeros(n_inputs))
        self.register_buffer("deviation", torch.ones(n_inputs))

    def inputs(self, statistics: Tensor, states: Tensor) -> Tensor:
        """(batch, n_inputs): what the network reads, before normalisation."""
        return statistics if self.config.kind == "gains" else torch.cat([statistics, states], dim=1)

    def start_from(self, inputs: Tensor, shared: HeadWeights) -> None:
        """Fixes the input normalisation on a sample and the output at the shared head's values.

        Args:
            inputs: (sample, n_inputs) as `inputs` returns them.
            shared: a batch of one: the tuned shared head (gains and temperature; what it lacks stays at zero).
        """
        self.mean.copy_(inputs.mean(0))
        deviation = inputs.std(0, correction=0)
        self.deviation.copy_(torch.where(deviation > 1e-4, deviation, 1.0))
        flat = shared.flat()[0]
        self.shared.zero_()
        self.shared[: len(flat)] = flat

    def deltas(self, inputs: Tensor) -> Tensor:
        """(batch, head_size): how far each head is from the shared one."""
        normalised = ((inputs - self.mean) / self.deviation).clamp(-5, 5)
        offsets: Tensor = self.network(normalised)
        return offsets

    def forward(self, inputs: Tensor, known: Tensor | None = None) -> HeadWeights:
        """Heads of a batch of contexts.

        Args:
            inputs: (batch, n_inputs) as `inputs` returns them.
            known: (batch,) bool, whether a context holds an event. Where it holds none the head is the shared one: no
                target taught what to make of nothing. None: all do.
        """
        deltas = self.deltas(inputs)
        if known is not None:
            deltas = deltas * known[:, None]
        return unflatten(self.shared + deltas, self.config, self.n_experts, self.width)
