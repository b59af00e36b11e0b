"""A mixture of Gaussians with exact density, responsibilities, EM and a floor on the variance.

Dempster, Laird & Rubin (1977), doi:10.1111/j.2517-6161.1977.tb01600.x; the floor is that of
Mattei & Frellsen (2018), arXiv:1802.04826, section 2. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical


class GaussianMixture(nn.Module):
    """p(x) = sum_k pi_k N(x; m_k, S_k) for x (B, D), with S_k = L_k L_k^T + floor * I.

    Parameters
    ----------
    n_components, dim : int
        K and D.
    full : bool
        Full covariances (a Cholesky factor each) or diagonal ones.
    floor : float
        Added to every variance, in squared units of x. With 0 the likelihood has no maximum.

    Examples
    --------
    >>> model = GaussianMixture(2, 1)
    >>> model.log_prob(torch.zeros(3, 1)).shape
    torch.Size([3])
    """

    def __init__(self, n_components: int, dim: int, full: bool = False, floor: float = 0.0):
        super().__init__()
        if n_components < 1 or dim < 1:
            raise ValueError(f"n_components and dim are at least 1, got {n_components}, {dim}")
        if not 0 <= floor < math.inf:
            raise ValueError(f"floor is a variance, finite and at least 0, got {floor}")
        self.n_components, self.dim, self.full, self.floor = n_components, dim, full, floor
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.randn(n_components, dim))
        self.log_scale = nn.Parameter(torch.zeros(n_components, dim))  # log of the diagonal of L
        if full and dim > 1:
            self.lower = nn.Parameter(torch.zeros(n_components, dim, dim))  # L below its diagonal

    @property
    def prior(self) -> Categorical:
        """p(z), the weights of the components."""
        return Categorical(logits=self.logits)

    def covariance(self) -> Tensor:
        """S_k, (K, D, D), floor included."""
        factor = torch.diag_embed(self.log_scale.exp())
        if self.full and self.dim > 1:
            factor = factor + self.lower.tril(-1)
        eye = torch.eye(self.dim, dtype=factor.dtype, device=factor.device)
        return factor @ factor.mT + self.floor * eye

    def _component_log_prob(self, x: Tensor) -> Tensor:
        """log N(x; m_k, S_k), (B, K): minus half of squared distance, log det and D log 2 pi."""
        diff = x[:, None, :] - self.means  # (B, K, D)
        if self.full and self.dim > 1:
            factor = torch.linalg.cholesky(self.covariance())
            diff = torch.linalg.solve_triangular(factor, diff[..., None], upper=False)[..., 0]
            log_scale = factor.diagonal(dim1=-2, dim2=-1).log()  # (K, D)
        else:
            log_scale = 0.5 * torch.log((2 * self.log_scale).exp() + self.floor)
            diff = diff / log_scale.exp()
        constant = 0.5 * self.dim * math.log(2 * math.pi)
        return -0.5 * diff.square().sum(-1) - log_scale.sum(-1) - constant

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, z = k), (B, K) nats, exact."""
        if x.ndim != 2 or x.shape[1] != self.dim or len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {self.dim}) with B >= 1")
        if not x.is_floating_point() or not torch.isfinite(x).all():
            raise ValueError(f"x must hold finite floats, got {x.dtype} (NaN and infinity refused)")
        return self.logits.log_softmax(0) + self._component_log_prob(x)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log density, (B,) nats: the joint summed over z."""
        return self.joint_log_prob(x).logsumexp(1)

    def loss(self, x: Tensor) -> Tensor:
        """Negative log density, (B,) nats."""
        return -self.log_prob(x)

    def posterior(self, x: Tensor) -> Categorical:
        """p(z | x); its ``probs`` (B, K) are the responsibilities."""
        return Categorical(logits=self.joint_log_prob(x))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, D): first a component, then a point of it."""
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        noise = torch.empty_like(self.means[k]).normal_(generator=generator)
        factor = torch.linalg.cholesky(self.covariance())  # (K, D, D)
        return self.means[k] + (factor[k] @ noise[..., None])[..., 0]

    @torch.no_grad()
    def start_from(self, x: Tensor, generator: torch.Generator | None = None) -> None:
        """Reset: means at K random rows of ``x``, every spread that of the whole of ``x``."""
        rows = torch.randperm(len(x), generator=generator)[: self.n_components]
        self.logits.zero_()
        self.means.copy_(x[rows])
        self.log_scale.copy_(x.std(0).log().expand_as(self.log_scale))
        if self.full and self.dim > 1:
            self.lower.zero_()

    @torch.no_grad()
    def em_step(self, x: Tensor) -> Tensor:
        """One step of expectation-maximisation on the rows of ``x`` (N, D), in place.

        Returns the mean log density (nats) before the step, which never falls. Under a floor the
        best covariance is the weighted one with its eigenvalues raised to the floor.

        Note: what a variance has above the floor is kept at 1e-12 or more, so its log is finite.
        """
        joint = self.joint_log_prob(x)
        r = joint.softmax(1)  # (N, K)
        n = r.sum(0).clamp_min(torch.finfo(x.dtype).tiny)  # (K,)
        self.logits.copy_(n.log() - math.log(len(x)))
        self.means.copy_(r.T @ x / n[:, None])
        diff = x[:, None, :] - self.means  # (N, K, D)
        if self.full and self.dim > 1:
            self._set_covariance(torch.einsum("nk,nki,nkj->kij", r, diff, diff) / n[:, None, None])
        else:
            variance = torch.einsum("nk,nki->ki", r, diff.square()) / n[:, None]
            self.log_scale.copy_(0.5 * (variance - self.floor).clamp_min(1e-12).log())
        return joint.logsumexp(1).mean()

    def _set_covariance(self, covariance: Tensor) -> None:
        """Choose L: L L^T + floor * I is ``covariance``, its eigenvalues raised to the floor."""
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * (values - self.floor).clamp_min(1e-12).sqrt()[:, None, :]
        factor = torch.linalg.qr(root.mT)[1].mT  # lower triangular, root root^T = factor factor^T
        diagonal = factor.diagonal(dim1=-2, dim2=-1)
        factor = factor * torch.where(diagonal < 0, -1.0, 1.0)[:, None, :]
        self.log_scale.copy_(diagonal.abs().clamp_min(1e-6).log())
        self.lower.copy_(factor.tril(-1))
