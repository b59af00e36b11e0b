"""VampPrior: a mixture of the posteriors of a few learned, imaginary examples.

Tomczak and Welling (2018), arXiv:1705.07120, eqs. 8-10. Needs torch only.
"""

import torch
from torch import Tensor, nn


class VampPrior(nn.Module):
    """p(z) = sum_k w_k q(z | u_k): the encoder itself, at K pseudo-inputs u_k that are learned.

    The best prior for a given encoder is its average over the data; K imaginary examples stand for
    it. The pseudo-inputs are kept inside the range of the data by a sigmoid.

    Note: the posterior belongs to the VAE that holds both; it is not registered here a second time.

    Parameters
    ----------
    posterior : module with ``distribution(x)``, a torch distribution over z, for x (K, *shape).
    n_inputs : K. shape : of one example. levels : grey levels of the data; None for real values,
        whose pseudo-inputs are free.
    weights : w (K,), positive, summing to 1; equal unless given. They are learned, as logits.

    Raises
    ------
    ValueError : n_inputs below 1, a posterior without ``distribution``, or weights that are not
        K positive numbers with sum 1.
    """

    def __init__(
        self,
        posterior: nn.Module,
        n_inputs: int,
        shape: tuple[int, ...],
        levels: int | None = None,
        weights: Tensor | None = None,
    ):
        super().__init__()
        if n_inputs < 1:
            raise ValueError(f"n_inputs must be at least 1, got {n_inputs}")
        if not callable(getattr(posterior, "distribution", None)):
            raise ValueError(
                f"posterior must offer distribution(x), a density one can evaluate at any z; "
                f"{type(posterior).__name__} does not"
            )
        weights = torch.full((n_inputs,), 1 / n_inputs) if weights is None else weights
        if weights.shape != (n_inputs,) or not (weights > 0).all():
            raise ValueError(f"weights must be {n_inputs} positive numbers, got {weights}")
        if abs(weights.sum().item() - 1) > 1e-4:
            raise ValueError(f"weights must sum to 1, got a sum of {weights.sum().item():.6g}")
        object.__setattr__(self, "posterior", posterior)
        self.levels = levels
        self.raw = nn.Parameter(torch.randn(n_inputs, *shape))
        self.logits = nn.Parameter(weights.log())

    def pseudo_inputs(self) -> Tensor:
        """u (K, *shape), in the units of the data (real numbers, not rounded to levels)."""
        return self.raw if self.levels is None else torch.sigmoid(self.raw) * (self.levels - 1)

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Start the pseudo-inputs at random rows of x (N, *shape), kept off the two ends."""
        u = x[torch.randperm(len(x))[: len(self.raw)]].to(self.raw)
        u = u if self.levels is None else torch.logit(u / (self.levels - 1), eps=0.05)
        self.raw[: len(u)].copy_(u)

    def log_prob(self, z: Tensor) -> Tensor:
        """Exact log density (B,), nats, at z (B, d)."""
        parts = self.posterior.distribution(self.pseudo_inputs())  # K laws over (d,)
        log_q = parts.log_prob(z[:, None])  # (B, K)
        return (log_q + self.logits.log_softmax(0)).logsumexp(1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws (n, d): a pseudo-input, then its posterior."""
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True)
        return self.posterior.distribution(self.pseudo_inputs()[k]).sample()
