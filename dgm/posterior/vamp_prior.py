"""VampPrior: a mixture of the posteriors of a few learned, imaginary examples.

Tomczak and Welling (2018), arXiv:1705.07120, eqs. 8-10. Needs torch only.
"""

import torch
from torch import Tensor, nn


class VampPrior(nn.Module):
    """p(z) = sum_k w_k q(z | u_k): the encoder itself, at K pseudo-inputs u_k that are learned.

    The best prior for a given encoder is its average over the data; K imaginary examples stand for
    it. The pseudo-inputs are kept inside the range of the data by a tanh.

    Note: the encoder belongs to the VAE that holds both; it is not registered here a second time.
    Own methods: ``pseudo_inputs``.

    Parameters
    ----------
    encoder : nn.Module
        ``encoder(u)``, u (K, *shape) scaled, gives K laws over z with ``log_prob`` of any z
        (n, 1, d) -> (n, K), a `GaussianEncoder` say.
    n_inputs : int
        K.
    data : Levels or Reals (support.py)
        What the examples are: ``shape``, ``scaled(x)``, ``unscaled(u)``, ``count(n)``.
    weights : Tensor, optional
        w (K,), positive, summing to 1; equal unless given. They are learned, as logits.

    Raises
    ------
    ValueError
        n_inputs below 1, or weights that are not K positive numbers with sum 1.
    """

    def __init__(
        self, encoder: nn.Module, n_inputs: int, data: object, weights: Tensor | None = None
    ):
        super().__init__()
        data.count(n_inputs, "n_inputs", least=1)
        weights = torch.full((n_inputs,), 1 / n_inputs) if weights is None else weights
        if weights.shape != (n_inputs,) or not (weights > 0).all():
            raise ValueError(f"weights must be {n_inputs} positive numbers, got {weights}")
        if abs(weights.sum().item() - 1) > 1e-4:
            raise ValueError(f"weights must sum to 1, got a sum of {weights.sum().item():.6g}")
        object.__setattr__(self, "encoder", encoder)
        self.data, self.bounded = data, hasattr(data, "levels")
        self.raw = nn.Parameter(torch.randn(n_inputs, *data.shape))
        self.logits = nn.Parameter(weights.log())

    def _scaled_inputs(self) -> Tensor:
        """u (K, *shape), as the encoder sees them."""
        return torch.tanh(0.5 * self.raw) if self.bounded else self.raw

    def pseudo_inputs(self) -> Tensor:
        """u (K, *shape), in the units of the data (real numbers, not rounded to levels)."""
        return self.data.unscaled(self._scaled_inputs())

    @torch.no_grad()
    def start_from(self, x: Tensor, generator: torch.Generator | None = None) -> None:
        """Start the pseudo-inputs at random rows of x (N, *shape), kept off the two ends.

        ``generator`` lives on the CPU, where the rows are chosen.
        """
        rows = torch.randperm(len(x), generator=generator)[: len(self.raw)].to(x.device)
        u = self.data.scaled(x[rows], dtype=self.raw.dtype)
        u = torch.logit(0.5 * (u + 1), eps=0.05) if self.bounded else u
        self.raw[: len(u)].copy_(u)

    def log_prob(self, z: Tensor) -> Tensor:
        """Exact log density (B,), nats, at z (B, d)."""
        parts = self.encoder(self._scaled_inputs())  # K laws over (d,)
        log_q = parts.log_prob(z[:, None])  # (B, K)
        return (log_q + self.logits.log_softmax(0)).logsumexp(1)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws (n, d): a pseudo-input, then its posterior. ``generator`` is on its device."""
        n, encoder = self.data.count(n), self.encoder
        modes = [(module, module.training) for module in encoder.modules()]
        encoder.eval()
        parts, p = encoder(self._scaled_inputs()), self.logits.softmax(0)
        k = torch.multinomial(p, n, replacement=True, generator=generator) if n else p[:0].long()
        for module, training in modes:
            module.training = training
        every = parts.rsample((n,), generator=generator)  # (n, K, d)
        return every[torch.arange(n, device=k.device), k]
