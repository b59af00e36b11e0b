"""The hierarchical VAE: an upward pass over x, a downward pass over layers, the bound they give.

p(x, z) = p(z_L) p(z_{L-1}|z_L) ... p(x|z). Deep latent Gaussian models: Rezende et al. (2014),
arXiv:1401.4082; top-down inference: Sonderby et al. (2016), arXiv:1602.02282, and Kingma et al.
(2016), arXiv:1606.04934 (free bits: appendix C.8); the bound of the upper layers: Maaloe et al.
(2019), arXiv:1902.02102, section 3. Needs torch only.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

HIERARCHY_ROWS = 512  # pairs of an example and a draw that `TopDown.iw_bound` holds


class TopDown(nn.Module):
    """A decoder with many layers of hidden causes, each of which says how it is inferred.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``check(x)``, ``scaled(x)``, ``count(n)``.
    layers : sequence of nn.Module
        The layers, the top one first (layer.py): ``rise``, ``prior``, ``infer``, ``update``.
    decoder : nn.Module
        p(x|z): ``decoder(h)`` of the last state is an object with ``log_prob(x)`` (B,),
        ``sample(generator)`` and ``mean``. May offer ``start_from(x)``.
    state : tuple of int
        Shape of the state above the top layer, learned; empty where the top layer needs none.
    beta : float
        Weight of the KL in ``loss``, and only there.
    free_bits : float
        Nats of each layer's KL, mean over the batch, that ``loss`` does not charge for. With them
        the loss of an example depends on its batch, as in Kingma et al.
    spectral : float
        Weight in ``loss``, in training only, of the sum of the largest singular values of all
        convolutions and linear maps (NVAE).

    Notes
    -----
    Own methods: ``layer_kl``, ``latents``, ``draw``, ``bound_above``.

    Examples
    --------
    >>> from dgm import zoo
    >>> from dgm.distribution.support import Levels
    >>> model = zoo.get("ladder_vae").build(Levels((1, 2, 2), 3), z_dims=(2, 3), width=8)
    >>> x = model.sample(5)
    >>> model.elbo(x).shape, model.layer_kl(x).shape
    (torch.Size([5]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        data: object,
        layers: Sequence[nn.Module],
        decoder: nn.Module,
        state: tuple[int, ...],
        beta: float = 1.0,
        free_bits: float = 0.0,
        spectral: float = 0.0,
    ):
        super().__init__()
        if len(layers) == 0:
            raise ValueError("layers must hold one layer or more, got none")
        for name, value in (("beta", beta), ("free_bits", free_bits), ("spectral", spectral)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value}")
        self.data, self.layers, self.decoder = data, nn.ModuleList(layers), decoder
        self.top = nn.Parameter(torch.zeros(state)) if state else None
        self.beta, self.free_bits, self.spectral = beta, free_bits, spectral

    # --- the two passes ---------------------------------------------------------------------------

    def _rise(self, x: Tensor) -> list[tuple]:
        """Upward: for every layer, the top first, its features and what was drawn on the way."""
        above, found = self.data.scaled(x, dtype=next(self.parameters()).dtype), []
        for layer in reversed(self.layers):
            d, above, drawn = layer.rise(above)
            found.append((d, drawn))
        return found[::-1]

    def _start(self, n: int) -> Tensor:
        """The state above the top layer, (n, *state)."""
        if self.top is None:
            return next(self.parameters()).new_zeros(n)
        return self.top.expand(n, *self.top.shape)

    def _infer(self, x: Tensor, from_prior: int = 0) -> tuple[Tensor, list]:
        """Downward, after the upward pass: the last state, and the draws of the inferred layers.

        The lowest ``from_prior`` layers are drawn from the prior, and are not listed.
        """
        h, found, inferred = self._start(len(x)), self._rise(x), []
        for depth, (layer, (d, drawn)) in enumerate(zip(self.layers, found, strict=True)):
            if depth < len(self.layers) - from_prior:
                inferred.append(layer.infer(h, d, drawn))
                z = inferred[-1].z
            else:
                z = layer.prior(h).draw()
            h = layer.update(h, z)
        return h, inferred

    # --- the bounds -------------------------------------------------------------------------------

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x|z) (B,) and the KL of each layer (B, L), at one draw."""
        x = self.data.check(x, trusted=self.training)
        h, inferred = self._infer(x)
        kl = torch.stack([found.kl for found in inferred], 1)
        return self.decoder(h).log_prob(x), kl

    def layer_kl(self, x: Tensor) -> Tensor:
        """KL of each layer's posterior from its prior, given one draw of the others, (B, L) nats.

        The top layer comes first. In closed form for what is drawn on the way down; what is drawn
        on the way up counts log q - log p at the draw, whose mean is the KL.
        """
        return self._parts(x)[1]

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """One draw of both parts of the bound, (B,) nats each; elbo = reconstruction - kl.

        Raises
        ------
        ValueError
            x is not as stored.
        """
        reconstruction, kl = self._parts(x)
        return {"reconstruction": reconstruction, "kl": kl.sum(1)}

    def elbo(self, x: Tensor) -> Tensor:
        """One-sample lower bound on log p(x) (B,), nats: log p(x|z) less the KL of every layer."""
        reconstruction, kl = self._parts(x)
        return reconstruction - kl.sum(1)

    def iw_bound(self, x: Tensor, k: int) -> Tensor:
        """Bound with k draws, log of the mean weight p(x, z) / q(z|x), (B,) nats."""
        k = self.data.count(k, "k", least=1)
        x = self.data.check(x, trusted=self.training)
        at_once, total = max(1, HIERARCHY_ROWS // len(x)), None
        for done in range(0, k, at_once):
            n = min(at_once, k - done)
            part = self._log_weight(x.repeat(n, *[1] * (x.ndim - 1))).view(n, -1).logsumexp(0)
            total = part if total is None else torch.logaddexp(total, part)
        return total - math.log(k)

    def bound_above(self, x: Tensor, k: int) -> Tensor:
        """L^{>k}: the bound (B,), nats, whose lowest k layers come from the prior, not from x.

        One draw. k = 0 is the bound of all layers. What it lacks, elbo - L^{>k}, is what the low
        layers say of x that the high ones do not foresee.
        """
        k = self.data.count(k, "k")
        if k >= len(self.layers):
            raise ValueError(f"k must leave one of {len(self.layers)} layers, got {k}")
        return self._log_weight(self.data.check(x, trusted=self.training), k)

    def _log_weight(self, x: Tensor, from_prior: int = 0) -> Tensor:
        """log p(x, z) - log q(z|x) (B,) of one draw, over the inferred layers."""
        h, inferred = self._infer(x, from_prior)
        return self.decoder(h).log_prob(x) - sum(found.log_ratio for found in inferred)

    def loss(self, x: Tensor) -> Tensor:
        """-reconstruction + beta * kl (B,): nats, and a bound, with beta 1 and no more terms."""
        reconstruction, kl = self._parts(x)
        if self.free_bits:
            kl = kl.mean(0, keepdim=True).clamp_min(self.free_bits).expand(len(x), -1)
        loss = self.beta * kl.sum(1) - reconstruction
        if self.spectral and self.training:
            loss = loss + self.spectral * _largest_singular_values(self).sum()
        return loss

    # --- in and out -------------------------------------------------------------------------------

    def likelihood(self, draws: Sequence[Tensor]) -> object:
        """p(x|z), with ``log_prob(x)`` (B,), ``sample`` and ``mean``, of all layers, top first."""
        if len(draws) != len(self.layers):
            raise ValueError(f"draws must be of all {len(self.layers)} layers, got {len(draws)}")
        h = self._start(len(draws[0]))
        for layer, z in zip(self.layers, draws, strict=True):
            h = layer.update(h, z)
        return self.decoder(h)

    def latents(self, x: Tensor) -> list[Tensor]:
        """One draw of every layer from the posterior of x, top first, (B, C, ...) each."""
        return [found.z for found in self._infer(self.data.check(x))[1]]

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction: the likelihood's mean at one draw of the posterior, shaped like x."""
        return self.decoder(self._infer(self.data.check(x))[0]).mean

    @torch.no_grad()
    def draw(
        self, n: int, *, temperature: float = 1.0, fixed: Sequence[Tensor] = (),
        generator: torch.Generator | None = None,
    ) -> list[Tensor]:  # fmt: skip
        """n draws of every layer, top first: the ``fixed`` ones as they are, the rest by the prior.

        ``temperature`` multiplies the standard deviations; 1 is the model.
        """
        n = self.data.count(n)
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be finite and above 0, got {temperature}")
        if len(fixed) > len(self.layers) or any(len(z) != n for z in fixed):
            sizes = [len(z) for z in fixed]
            raise ValueError(f"fixed must be the top layers of n = {n} draws, got sizes {sizes}")
        h, draws = self._start(n), list(fixed)
        for depth, layer in enumerate(self.layers):
            if depth == len(draws):
                draws.append(layer.prior(h).draw(temperature, generator))
            h = layer.update(h, draws[depth])
        return draws

    @torch.no_grad()
    def sample(
        self, n: int, *, temperature: float = 1.0, fixed: Sequence[Tensor] = (),
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """n draws (n, *shape), as stored: layer by layer from the prior, see `draw`, then x.

        ``generator`` lives on the model's device.
        """
        n = self.data.count(n)
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        rows = n if fixed else max(n, 1)  # networks reshape no empty batch
        draws = self.draw(rows, temperature=temperature, fixed=fixed, generator=generator)
        x = self.likelihood(draws).sample(generator=generator)
        for module, training in modes:
            module.training = training
        return x[:n]

    def start_from(self, x: Tensor) -> None:
        """Start the decoder at the level frequencies of x (N, *shape), where it can."""
        if hasattr(self.decoder, "start_from"):
            self.decoder.start_from(x)


def _largest_singular_values(model: nn.Module) -> Tensor:
    """Of every convolution and linear map, as a matrix from all inputs of a place to its outputs.

    Note: exact, where NVAE follows them by power iteration.
    """
    maps = [m.weight for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return torch.stack([torch.linalg.matrix_norm(w.flatten(1), 2) for w in maps])
