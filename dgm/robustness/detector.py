"""Reject what is too unlikely under the class that it is called: a threshold on log p(x | y).

Fetaya et al. (2020), arXiv:1906.01171; Li, Bradshaw and Sharma (2019), arXiv:1802.06552 (the
threshold is a quantile of clean data). Needs torch only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LikelihoodDetector(nn.Module):
    """Alarm where log p(x | predicted y) is below a threshold; it gives true alarms and false ones.

    Parameters
    ----------
    rate : float
        The share of clean pictures that may be rejected: the threshold is that quantile.

    Examples
    --------
    >>> detector = LikelihoodDetector(rate=0.25)
    >>> detector.fit_to(torch.tensor([[0.0, -9.0], [-1.0, -9.0], [-2.0, -9.0], [-9.0, -3.0]]))
    >>> detector.alarm(torch.tensor([[-5.0, -8.0], [-8.0, -1.0]]))
    tensor([ True, False])
    """

    def __init__(self, rate: float = 0.05):
        super().__init__()
        if not 0 < rate < 1:
            raise ValueError(f"rate must lie in 0 < rate < 1, got {rate!r}")
        self.rate = rate
        self.register_buffer("threshold", torch.tensor(-torch.inf))

    @staticmethod
    def score(class_log_prob: Tensor) -> Tensor:
        """log p(x | y) (B, K) -> that of the class predicted, (B,) nats."""
        if not isinstance(class_log_prob, Tensor) or class_log_prob.dim() != 2:
            raise ValueError("class_log_prob must be a tensor (B, K)")
        return class_log_prob.amax(1)

    @torch.no_grad()
    def fit_to(self, class_log_prob: Tensor) -> None:
        """Set the threshold from clean *validation* pictures, (N, K) nats."""
        self.threshold.copy_(torch.quantile(self.score(class_log_prob), self.rate))

    def hinge(self, class_log_prob: Tensor) -> Tensor:
        """Nats that are missing, (B,): above 0 where there is an alarm. For attackers."""
        return self.threshold - self.score(class_log_prob)

    def alarm(self, class_log_prob: Tensor) -> Tensor:
        """(B, K) -> where the picture is rejected, (B,) bool."""
        return self.hinge(class_log_prob) > 0

    def false_positive_rate(self, class_log_prob: Tensor) -> float:
        """Share of clean pictures (N, K) that are rejected; on test pictures, an honest figure."""
        return self.alarm(class_log_prob).double().mean().item()
