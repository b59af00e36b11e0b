"""A mixture of Gaussians with exact density, responsibilities, EM and a floor on the variance.

Dempster, Laird & Rubin (1977), doi:10.1111/j.2517-6161.1977.tb01600.x; the floor is that of
Mattei & Frellsen (2018), arXiv:1802.04826, section 2. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

POINTS_AT_ONCE = 2048  # full covariances: (K, D, points) stays in a processor's cache
NUMBERS_AT_ONCE = 2**17  # diagonal ones: so does (D, points), one component after the other


class GaussianMixture(nn.Module):
    """p(x) = sum_k pi_k N(x; m_k, S_k) for x (B, D), with S_k = L_k L_k^T + floor * I.

    Parameters
    ----------
    n_components : int
        K.
    data : Reals (support.py)
        Points (D,): ``shape``, ``check(x)``, ``count(n)``.
    full : bool
        Full covariances (a Cholesky factor each) or diagonal ones.
    floor : float
        Added to every variance, in squared units of x. With 0 the likelihood has no maximum.

    Notes
    -----
    Own methods: ``covariance``, ``em_step``.

    Examples
    --------
    >>> from dgm.distribution.support import Reals
    >>> model = GaussianMixture(2, Reals((1,)))
    >>> model.log_prob(torch.zeros(3, 1)).shape
    torch.Size([3])
    """

    def __init__(self, n_components: int, data: object, full: bool = False, floor: float = 0.0):
        super().__init__()
        data.count(n_components, "n_components", least=1)
        if len(data.shape) != 1:
            raise ValueError(f"data must be points (D,), got shape {data.shape}")
        if not 0 <= floor < math.inf:
            raise ValueError(f"floor is a variance, finite and at least 0, got {floor}")
        dim = data.dims
        self.data, self.full, self.floor = data, full and dim > 1, floor
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.randn(n_components, dim))
        self.log_scale = nn.Parameter(torch.zeros(n_components, dim))  # log of the diagonal of L
        if self.full:
            self.lower = nn.Parameter(torch.zeros(n_components, dim, dim))  # L below its diagonal

    @property
    def prior(self) -> Categorical:
        """p(z), the weights of the components."""
        return Categorical(logits=self.logits)

    def covariance(self) -> Tensor:
        """S_k, (K, D, D), floor included."""
        factor = torch.diag_embed(self.log_scale.exp())
        if self.full:
            factor = factor + self.lower.tril(-1)
        eye = torch.eye(self.data.dims, dtype=factor.dtype, device=factor.device)
        return factor @ factor.mT + self.floor * eye

    def _factor(self) -> tuple[Tensor, Tensor]:
        """Cholesky factor of S_k, (K, D, D) or its diagonal (K, D), and log det S_k / 2 (K,)."""
        if self.full:
            factor = torch.linalg.cholesky(self.covariance())
            return factor, factor.diagonal(dim1=-2, dim2=-1).log().sum(1)
        log_scale = 0.5 * torch.log((2 * self.log_scale).exp() + self.floor)
        return log_scale.exp(), log_scale.sum(1)

    def _pieces(self, *columns: Tensor) -> zip:
        """(..., B) in pieces of so many points that what is made of them stays in the cache."""
        size = POINTS_AT_ONCE if self.full else max(1, NUMBERS_AT_ONCE // self.data.dims)
        return zip(*(t.split(size, dim=1) for t in columns), strict=True)

    def _component_log_prob(self, x: Tensor) -> Tensor:
        """log N(x; m_k, S_k), (K, B): minus half of squared distance, log det and D log 2 pi."""
        factor, half_log_det = self._factor()
        pieces = self._pieces(x.T.contiguous())
        squared = torch.cat([self._squared_distance(part, factor) for (part,) in pieces], dim=1)
        constant = half_log_det + 0.5 * self.data.dims * math.log(2 * math.pi)
        return squared.mul_(-0.5).sub_(constant[:, None])

    def _squared_distance(self, x: Tensor, factor: Tensor) -> Tensor:
        """|L_k^-1 (x - m_k)|^2, (K, B), of x (D, B)."""
        if self.full:
            diff = x - self.means[:, :, None]  # (K, D, B): one solve for each k, not each x
            return torch.linalg.solve_triangular(factor, diff, upper=False).square().sum(1)
        precision = factor.pow(-2).clamp_max(torch.finfo(x.dtype).max)  # (K, D)
        pairs = zip(self.means, precision, strict=True)
        return torch.stack([p @ (x - m[:, None]).square_() for m, p in pairs])

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log p(x, z = k), (B, K) nats, exact."""
        x = self.data.check(x, trusted=self.training)
        return self._component_log_prob(x).add_(self.logits.log_softmax(0)[:, None]).T

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
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, D): first a component, then a point of it.

        The generator lives on the model's device.
        """
        if self.data.count(n) == 0:
            return self.means.new_empty(0, self.data.dims)
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        noise = torch.empty_like(self.means[k]).normal_(generator=generator)
        factor = torch.linalg.cholesky(self.covariance())  # (K, D, D)
        return self.means[k] + (factor[k] @ noise[..., None])[..., 0]

    @torch.no_grad()
    def start_from(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Reset: means at K random rows of ``x``, every spread that of the whole of ``x``.

        Raises
        ------
        ValueError
            x holds fewer rows than there are components, or a column that never changes.
        """
        x, n_components = self.data.check(x), len(self.logits)
        if len(x) < max(2, n_components) or not (x.std(0) > 0).all():
            raise ValueError(
                f"x must hold {max(2, n_components)} rows or more that differ, got {len(x)}"
            )
        rows = torch.randperm(len(x), generator=generator, device=x.device)[:n_components]
        self.logits.zero_()
        self.means.copy_(x[rows])
        self.log_scale.copy_(x.std(0).log().expand_as(self.log_scale))
        if self.full:
            self.lower.zero_()

    def fit_to(self, x: Tensor, steps: int = 100) -> "GaussianMixture":
        """``steps`` of expectation-maximisation on x (N, D) from where it stands; self."""
        for _ in range(self.data.count(steps, "steps")):
            self.em_step(x)
        return self

    @torch.no_grad()
    def em_step(self, x: Tensor) -> Tensor:
        """One step of expectation-maximisation on the rows of ``x`` (N, D), in place.

        Returns the mean log density (nats) before the step, which never falls. Under a floor the
        best covariance is the weighted one with its eigenvalues raised to the floor.

        Note: what a variance has above the floor is kept at 1e-12 or more, so its log is finite.
        """
        joint = self.joint_log_prob(x).T  # (K, N)
        top = joint.amax(0)
        r = joint.sub_(top).exp_()  # (K, N), one exp for responsibilities and their log-sum
        total = r.sum(0)
        r /= total
        n = r.sum(1).clamp_min(torch.finfo(x.dtype).tiny)[:, None]  # (K, 1)
        self.logits.copy_(n[:, 0].log() - math.log(len(x)))
        self.means.copy_(r @ x / n)
        pieces = self._pieces(x.T.contiguous(), r)
        second = sum(self._second_moment(part, r_part) for part, r_part in pieces)
        if self.full:
            self._set_covariance(second / n[:, :, None])
        else:
            self.log_scale.copy_(0.5 * (second / n - self.floor).clamp_min(1e-12).log())
        return (top + total.log_()).mean()

    def _second_moment(self, x: Tensor, r: Tensor) -> Tensor:
        """sum_n r_kn d_kn d_kn^T for d_kn = x_n - m_k, x (D, N): (K, D, D), or diagonals (K, D)."""
        if self.full:
            diff = x - self.means[:, :, None]  # (K, D, N)
            return (diff * r[:, None]) @ diff.mT
        pairs = zip(self.means, r, strict=True)
        return torch.stack([(x - m[:, None]).square_() @ weight for m, weight in pairs])

    def _set_covariance(self, covariance: Tensor) -> None:
        """Choose L: L L^T + floor * I is ``covariance``, its eigenvalues raised to the floor."""
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * (values - self.floor).clamp_min(1e-12).sqrt()[:, None, :]
        factor = torch.linalg.qr(root.mT)[1].mT  # lower triangular, root root^T = factor factor^T
        diagonal = factor.diagonal(dim1=-2, dim2=-1)
        factor = factor * torch.where(diagonal < 0, -1.0, 1.0)[:, None, :]
        self.log_scale.copy_(diagonal.abs().clamp_min(1e-6).log())
        self.lower.copy_(factor.tril(-1))
