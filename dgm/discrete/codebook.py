"""A codebook: every feature vector of a map is replaced by the nearest of K vectors.

van den Oord, Vinyals and Kavukcuoglu (2017), arXiv:1711.00937, eqs. 1-3, appendix A.1 (moving
averages). A start by k-means: Arthur and Vassilvitskii (2007), k-means++, section 2.2; restarts of
unused vectors: Dhariwal et al. (2020), arXiv:2005.00341, section 3. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class Codebook(nn.Module):
    """K vectors e_k of d numbers; the code of a vector h is argmin_k |h - e_k|^2.

    Gradients pass straight through: what is handed on is h + stop(e_k - h), whose value is e_k and
    whose derivative in h is the identity. The vectors get no gradient. In training each of them
    follows the features that chose it, by moving averages of their number and of their sum; in eval
    mode nothing changes. The averages are buffers, so they are saved with the weights.

    Parameters
    ----------
    n_codes, dim : int
        K and d, at least 2 and 1.
    decay : float
        Of the moving averages, at least 0 and below 1.
    k_means : bool
        Place the vectors by k-means on the first batch of training; else they stay normal draws.
    restart_below : float
        A vector chosen less often than this share of the mean starts anew at a random feature of
        the batch, in training; 0 never restarts.

    Raises
    ------
    ValueError
        A size or a share is out of range.

    Examples
    --------
    >>> book = Codebook(n_codes=5, dim=3).eval()
    >>> passed, codes, distance = book(torch.randn(2, 3, 4, 4))
    >>> passed.shape, codes.shape, distance.shape
    (torch.Size([2, 3, 4, 4]), torch.Size([2, 1, 4, 4]), torch.Size([2]))
    """

    def __init__(
        self,
        n_codes: int,
        dim: int,
        decay: float = 0.99,
        k_means: bool = True,
        restart_below: float = 0.03,
    ):
        super().__init__()
        for name, size, least in (("n_codes", n_codes, 2), ("dim", dim, 1)):
            if isinstance(size, bool) or not isinstance(size, int) or size < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {size!r}")
        for name, share in (("decay", decay), ("restart_below", restart_below)):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {share}")
        self.n_codes, self.dim, self.decay = n_codes, dim, decay
        self.restart_below = restart_below
        vectors = torch.randn(n_codes, dim) / math.sqrt(dim)
        self.register_buffer("vectors", vectors)
        self.register_buffer("counts", torch.ones(n_codes))  # moving average of how often chosen
        self.register_buffer("sums", vectors.clone())  # moving average of the sum of who chose it
        self.register_buffer("placed", torch.tensor(not k_means))

    # --- there and back ---------------------------------------------------------------------------

    def nearest(self, rows: Tensor) -> Tensor:
        """Codes (N,) of vectors (N, d): |h - e|^2 = |h|^2 - 2 h e + |e|^2, and |h|^2 is common."""
        with torch.autocast(rows.device.type, enabled=False):  # 16 bits would choose others
            rows = rows.to(self.vectors.dtype)
            distance = self.vectors.square().sum(1) - 2 * rows @ self.vectors.T  # (N, K)
        return distance.argmin(1)

    def features(self, codes: Tensor) -> Tensor:
        """The map of vectors (B, d, H, W) of codes (B, 1, H, W).

        Raises
        ------
        ValueError
            codes are no such integers, or not in 0 .. K - 1.
        """
        wrong = codes.ndim != 4 or codes.shape[1] != 1 or codes.is_floating_point()
        if wrong:
            got = f"{codes.dtype} {tuple(codes.shape)}"
            raise ValueError(f"codes must be integers (B, 1, H, W), got {got}")
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.n_codes:
            low, high = int(codes.min()), int(codes.max())
            raise ValueError(f"codes must lie in 0 .. {self.n_codes - 1}, got {low} .. {high}")
        return self._at(codes)

    def _at(self, codes: Tensor) -> Tensor:
        """The vectors of codes (B, 1, H, W) that were checked, or made here: (B, d, H, W)."""
        return self.vectors[codes[:, 0].long()].movedim(-1, 1)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A map h (B, d, H, W) -> what is handed on, codes (B, 1, H, W), sum of |h - e|^2 (B,).

        The first has the value of the vectors and the gradient of h; the third, the commitment
        term, has a gradient in h only.
        """
        rows = h.movedim(1, -1).flatten(0, -2)  # (N, d), N = B H W
        if self.training and not self.placed:
            self.place(rows)
        codes = self.nearest(rows.detach()).view(len(h), 1, *h.shape[2:])
        chosen = self._at(codes).to(h.dtype)
        if self.training:
            self.follow(rows, codes.flatten())
        distance = (h - chosen).square().flatten(1).sum(1)
        return h + (chosen - h).detach(), codes, distance

    # --- how the vectors move ---------------------------------------------------------------------

    @torch.no_grad()
    def follow(self, rows: Tensor, codes: Tensor) -> None:
        """One step of the moving averages, given features (N, d) and their codes (N,)."""
        rows = rows.to(self.vectors.dtype)
        chose = one_hot(codes, self.n_codes).to(rows.dtype)  # (N, K)
        self.counts.lerp_(chose.sum(0), 1 - self.decay)
        self.sums.lerp_(chose.T @ rows, 1 - self.decay)
        # Laplace's smoothing: a count near zero does not blow a vector up
        total, little = self.counts.sum(), 1e-5
        counts = (self.counts + little) / (total + self.n_codes * little) * total
        self.vectors.copy_(self.sums / counts.unsqueeze(1))
        if self.restart_below:
            self._restart(rows)

    def _restart(self, rows: Tensor) -> None:
        """Move vectors that are hardly chosen to random features, as if chosen like the mean."""
        mean = self.counts.mean()
        unused = self.counts < self.restart_below * mean  # (K,)
        anew = rows[torch.randint(len(rows), (self.n_codes,), device=rows.device)]
        self.vectors.copy_(torch.where(unused.unsqueeze(1), anew, self.vectors))
        self.sums.copy_(torch.where(unused.unsqueeze(1), mean * anew, self.sums))
        self.counts.copy_(torch.where(unused, mean, self.counts))

    @torch.no_grad()
    def place(self, rows: Tensor, steps: int = 10) -> None:
        """Place the vectors by k-means on features (N, d), seeded far from each other."""
        rows = rows.to(self.vectors.dtype)
        # seeds: each new one with probability in proportion to its squared distance to the others
        self.vectors[0] = rows[torch.randint(len(rows), (1,), device=rows.device)[0]]
        far = (rows - self.vectors[0]).square().sum(1)  # (N,)
        for k in range(1, self.n_codes):
            pick = torch.multinomial(far + 1e-12, 1)[0]
            self.vectors[k] = rows[pick]
            far = torch.minimum(far, (rows - self.vectors[k]).square().sum(1))
        # then the mean of each cell in turns; an empty one stays
        for _ in range(steps):
            chose = one_hot(self.nearest(rows), self.n_codes).to(rows.dtype)
            counts = chose.sum(0)
            means = chose.T @ rows / counts.clamp(min=1).unsqueeze(1)
            self.vectors.copy_(torch.where(counts.unsqueeze(1) > 0, means, self.vectors))
        # the moving averages begin there
        self.counts.copy_(counts.clamp(min=self.restart_below * counts.mean()))
        self.sums.copy_(self.vectors * self.counts.unsqueeze(1))
        self.placed.fill_(True)
