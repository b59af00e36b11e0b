"""A contrastive learner: two views of one picture are to be told from views of all the others.

SimCLR: Chen, Kornblith, Norouzi and Hinton (2020), arXiv:2002.05709, eq. 1 and algorithm 1; the
bound on information: van den Oord, Li and Vinyals (2018), arXiv:1807.03748, appendix A.1. No
density. Needs torch only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


def info_nce(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """-log of the share of a picture's own other view among all others, (B,) nats, both ways.

    a and b (B, F) are two views; rows are scaled to length one. Each of the 2B rows has one
    positive and 2B - 2 negatives; itself is no candidate. With one picture there is nothing to
    tell apart: 0. log(2B - 1) less the mean is at most the information that the views share.

    Examples
    --------
    >>> one_hot = torch.eye(4)
    >>> info_nce(one_hot, one_hot, temperature=0.5)[0]  # log(e^2 + 6) - 2
    tensor(0.5944)
    """
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"a and b must be (B, F) both, got {tuple(a.shape)}, {tuple(b.shape)}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be finite and above 0, got {temperature!r}")
    rows, n = normalize(torch.cat((a, b)), dim=1), len(a)
    alike = rows @ rows.T / temperature  # (2B, 2B)
    itself = torch.eye(2 * n, dtype=torch.bool, device=rows.device)
    log_share = alike.masked_fill(itself, -math.inf).log_softmax(1)
    own = (torch.arange(2 * n, device=rows.device) + n) % (2 * n)
    each = -log_share.gather(1, own[:, None]).squeeze(1)
    return (each[:n] + each[n:]) / 2


class ContrastiveLearner(nn.Module):
    """Features that two views of a picture share and other pictures do not.

    Own methods: ``encode``, the features; ``project``, what the loss compares. There is no density
    and nothing to draw. The loss of an example depends on its batch, which holds its negatives.

    Parameters
    ----------
    data : what x is, pictures: ``shape``, ``check(x)``, ``scaled(x)``.
    encoder : nn.Module
        Scaled pictures (B, C, H, W) to features (B, F), which are kept.
    head : nn.Module
        Features to what the loss sees, thrown away afterwards.
    views : nn.Module
        Scaled pictures to a random look at each.
    temperature : float
        Of the softmax over candidates.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> from dgm.representation.views import Views
    >>> net, head = nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), nn.Linear(5, 3)
    >>> model = ContrastiveLearner(Levels((1, 8, 8), 17), net, head, Views())
    >>> model.loss(torch.randint(17, (6, 1, 8, 8))).shape
    torch.Size([6])
    """

    def __init__(
        self, data: object, encoder: nn.Module, head: nn.Module, views: nn.Module,
        temperature: float = 0.5,
    ):  # fmt: skip
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be finite and above 0, got {temperature!r}")
        self.data, self.encoder, self.head, self.views = data, encoder, head, views
        self.temperature = temperature

    def _scaled(self, x: Tensor) -> Tensor:
        dtype = next(self.parameters()).dtype
        return self.data.scaled(self.data.check(x, trusted=self.training), dtype=dtype)

    def encode(self, x: Tensor) -> Tensor:
        """Features (B, F) of x (B, C, H, W) as stored, unmoved."""
        return self.encoder(self._scaled(x))

    def forward(self, x: Tensor) -> Tensor:
        """The same as `encode`."""
        return self.encode(x)

    def project(self, u: Tensor) -> Tensor:
        """What the loss compares, of scaled pictures u."""
        return self.head(self.encoder(u))

    def loss(self, x: Tensor) -> Tensor:
        """`info_nce` of two new views of each picture, (B,) nats of no density."""
        u = self._scaled(x)
        both = self.project(torch.cat((self.views(u), self.views(u))))
        return info_nce(both[: len(u)], both[len(u) :], self.temperature)
