"""Diffusion: a chain of Gaussians from noise to data, and its variational bound.

Ho, Jain and Abbeel (2020), arXiv:2006.11239, eqs. 3-7 and 13; Kingma, Salimans, Poole and Ho
(2021), arXiv:2107.00630, eqs. 11-14 for the bound; labels left out now and then: Ho and Salimans
(2022), arXiv:2207.12598. Needs torch only.
"""

import torch
from torch import Tensor, nn


class Diffusion(nn.Module):
    """p(x) = integral of p(z_1) p(z_s | z_t) ... p(x | z_0): T steps back from noise to data.

    q(z_t | x) = N(alpha_t x, sigma_t^2 I) is given; a step back is q(z_s | z_t, x) with the
    network's x_hat in the place of x. So
    -log p(x) <= KL(q(z_1|x) || N(0, I)) + sum over steps of KL - E log p(x | z_0).

    Parameters
    ----------
    data : what x is (support.py): ``shape``, ``check(x)``, ``scaled(x)``, ``stored(v)``,
        ``count(n)``.
    schedule : nn.Module
        ``schedule(t)`` = gamma, rising in t = 0 .. 1 (schedule.py).
    predictor : nn.Module
        ``predictor(z, gamma, y)`` = x_hat and ``reconstruction(z, gamma, y)`` = p(x | z_0)
        (parameterisation.py).
    process : the closed forms, a module with ``noised``, ``step_back``, ``cost_of_step`` and
        ``cost_of_prior`` (forward_process.py).
    steps : int
        T.
    strata : int
        Steps whose cost `elbo` looks at, one at random of each of as many equal parts; all where
        this is T.
    share : nn.Module, optional
        ``share(t)`` in 0 .. 1, the model's variance (variance.py); that of the step back if None.
    condition : Levels, optional
        Labels. `loss` takes them and leaves each out with probability ``drop``; `elbo` and `sample`
        without ``y`` are those of the model without labels.

    Notes
    -----
    Own methods: ``step_costs``, every term of the bound; ``step``, one draw of p(z_s | z_t).
    """

    def __init__(
        self, data: object, schedule: nn.Module, predictor: nn.Module, process: object,
        steps: int = 1000, strata: int = 8, share: nn.Module | None = None,
        condition: object = None, drop: float = 0.2,
    ):  # fmt: skip
        super().__init__()
        self.data, self.schedule, self.predictor, self.process = data, schedule, predictor, process
        self.steps = data.count(steps, "steps", least=1)
        self.strata = min(data.count(strata, "strata", least=1), self.steps)
        if not 0 <= drop <= 1:
            raise ValueError(f"drop must lie in 0 .. 1, got {drop!r}")
        self.share, self.drop = share, drop
        if condition is not None:
            self.condition = condition

    def start_from(self, x: Tensor) -> None:
        """Let the predictor look at the training data x (N, *shape), where it can."""
        x = self.data.check(x)
        if hasattr(self.predictor, "start_from"):
            self.predictor.start_from(x)

    # --- the bound --------------------------------------------------------------------------------

    def _gamma(self, i: Tensor) -> Tensor:
        """gamma (B,) after i of T steps; i = 0 is as clean as it gets."""
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return self.schedule(i.to(dtype) / self.steps)

    def _cost(self, u: Tensor, i: Tensor, y: Tensor | None) -> Tensor:
        """KL of step i = 1 .. T (B,) for data u (B, *shape) in -1 .. 1, at one draw of z, nats."""
        gamma_s, gamma_t = self._gamma(i - 1), self._gamma(i)
        z = self.process.noised(u, gamma_t, torch.randn_like(u))
        x_hat = self.predictor(z, gamma_t, y)
        share = 0.0 if self.share is None else self.share(i.to(u.dtype) / self.steps)
        return self.process.cost_of_step(u, x_hat, gamma_s, gamma_t, share)

    def _ends(self, x: Tensor, u: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """KL at the last time, and -log p(x | z_0) at one draw of z_0, (B,) nats each."""
        gamma_0, gamma_1 = (self._gamma(i * x.new_ones(len(x))) for i in (0, self.steps))
        z = self.process.noised(u, gamma_0, torch.randn_like(u))
        law = self.predictor.reconstruction(z, gamma_0, y)
        return self.process.cost_of_prior(u, gamma_1), -law.log_prob(x)

    def _prepared(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Checked data, the same in -1 .. 1, and checked labels."""
        x = self.data.check(x, trusted=self.training)
        if y is not None:
            if not hasattr(self, "condition"):
                raise ValueError("y was given, but this model was built without a condition")
            y = self.condition.check(y.expand(len(x)) if y.dim() == 0 else y, "y")
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return x, self.data.scaled(x, dtype=dtype), y

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """prior, diffusion and reconstruction, (B,) nats each; elbo is minus their sum.

        The prior is exact; the others are one draw of their means. y : labels, for log p(x | y).
        """
        x, u, y = self._prepared(x, y)
        prior, reconstruction = self._ends(x, u, y)
        # one step of each stratum, in the place of all
        low = torch.arange(self.strata, device=u.device) * self.steps // self.strata
        high = torch.arange(1, self.strata + 1, device=u.device) * self.steps // self.strata
        diffusion = 0.0
        for first, n in zip(low.tolist(), (high - low).tolist(), strict=True):
            i = first + 1 + (n * torch.rand(len(u), device=u.device)).long().clamp_max(n - 1)
            diffusion = diffusion + n * self._cost(u, i, y)
        return {"prior": prior, "diffusion": diffusion, "reconstruction": reconstruction}

    def elbo(self, x: Tensor) -> Tensor:
        """One unbiased draw of the bound on log p(x), (B,) nats; see `terms` for log p(x | y)."""
        return -sum(self.terms(x).values())

    @torch.no_grad()
    def step_costs(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Every term at one draw each, (T + 2, B) nats: -log p(x | z_0), the T steps, the prior."""
        x, u, y = self._prepared(x, y)
        prior, reconstruction = self._ends(x, u, y)
        every = [
            self._cost(u, x.new_full((len(x),), i).long(), y) for i in range(1, self.steps + 1)
        ]
        return torch.stack((reconstruction, *every, prior))

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-elbo (B,) nats; while training with one look at each example, at a step or at the end.

        The looks of a batch are spread evenly over the time. One in eight is at p(x | z_0), which
        then counts eight times.
        """
        if not self.training:
            return sum(self.terms(x, y).values())
        x, u, y = self._prepared(x, y)
        if y is not None:
            left_out = torch.rand(len(y), device=y.device) < self.drop
            y = torch.where(left_out, torch.full_like(y, self.condition.levels), y)
        # which term each example looks at
        place = (torch.arange(len(u), device=u.device) + torch.rand(len(u), device=u.device)) / len(
            u
        )
        place = place[torch.randperm(len(u), device=u.device)]
        at_end = place < 0.125
        i = (1 + (place - 0.125) / 0.875 * self.steps).long().clamp(1, self.steps)
        gamma_t = self._gamma(torch.where(at_end, 0, i))
        # one pass of the network for all
        z = self.process.noised(u, gamma_t, torch.randn_like(u))
        return self._look(x, u, z, gamma_t, i, at_end, y)

    def _look(
        self, x: Tensor, u: Tensor, z: Tensor, gamma_t: Tensor, i: Tensor, at_end: Tensor,
        y: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """The chosen term over its probability, plus the prior, (B,) nats."""
        prior = self.process.cost_of_prior(u, self._gamma(torch.full_like(i, self.steps)))
        loss = torch.zeros_like(prior)
        if at_end.any():
            labels = None if y is None else y[at_end]
            law = self.predictor.reconstruction(z[at_end], gamma_t[at_end], labels)
            loss = loss.masked_scatter(at_end, -8 * law.log_prob(x[at_end]))
        rest = ~at_end
        if rest.any():
            labels, i = None if y is None else y[rest], i[rest]
            x_hat = self.predictor(z[rest], gamma_t[rest], labels)
            share = 0.0 if self.share is None else self.share(i.to(u.dtype) / self.steps)
            gammas = self._gamma(i - 1), gamma_t[rest]
            cost = self.process.cost_of_step(u[rest], x_hat, *gammas, share)
            loss = loss.masked_scatter(rest, self.steps / 0.875 * cost)
        return loss + prior

    # --- drawing ----------------------------------------------------------------------------------

    def step(
        self, z: Tensor, i: int, i_before: int, x_hat: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """A draw of p(z_s | z_t) with t = i / T, s = i_before / T, like z."""
        gamma_s, gamma_t = (self._gamma(torch.tensor(k, device=z.device)) for k in (i_before, i))
        mean, log_back, log_forward = self.process.step_back(z, x_hat, gamma_s, gamma_t)
        share = 0.0
        if self.share is not None:
            share = self.share(torch.tensor(i / self.steps, dtype=z.dtype, device=z.device))
        log_var = share * log_forward + (1 - share) * log_back
        eps = torch.empty_like(z).normal_(generator=generator)
        return mean + (0.5 * log_var).exp() * eps

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, guidance: float = 0.0,
        generator: torch.Generator | None = None, path: list | None = None,
    ) -> Tensor:  # fmt: skip
        """n draws (n, *shape) as stored: noise, T steps back, then p(x | z_0).

        Parameters
        ----------
        y : labels, one for all or one for each draw.
        guidance : w in (1 + w) x_hat(y) - w x_hat(no label); above 0 it is no longer the model's
            law. 0 is the model.
        generator : on the model's device; equal ones give equal draws.
        path : a list that gets (i, z, x_hat) before every step.
        """
        n = self.data.count(n)
        like = next(self.parameters())
        z = torch.empty(n, *self.data.shape, dtype=like.dtype, device=like.device)
        z.normal_(generator=generator)
        if not n:
            return self.data.stored(z)
        # in eval mode, every module put back at the end
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        if y is not None:
            y = self._prepared(self.data.stored(torch.zeros_like(z)), y)[2]
        # T steps back, then the data
        for i in range(self.steps, 0, -1):
            gamma = self._gamma(torch.full((n,), i, device=z.device))
            x_hat = self.predictor(z, gamma, y)
            if guidance and y is not None:
                x_hat = (1 + guidance) * x_hat - guidance * self.predictor(z, gamma)
            if path is not None:
                path.append((i, z, x_hat))
            z = self.step(z, i, i - 1, x_hat, generator)
        x = self.predictor.reconstruction(z, self._gamma(torch.zeros(n, device=z.device)), y)
        x = x.sample(generator)
        for module, training in modes:
            module.training = training
        return x
