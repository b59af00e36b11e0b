"""A classifier made of densities: p(x, y) = p(y) p(x | y), and Bayes' rule gives p(y | x).

Bishop (2006), Pattern Recognition and Machine Learning, section 4.2; Ng and Jordan (2002),
"On discriminative vs. generative classifiers". Needs torch only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Categorical


class GenerativeClassifier(nn.Module):
    """p(x, y) = p(y) p(x | y), with one model of x per class.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is: ``count(n)``.
    labels : Levels
        What y is, ``Levels((), K)``: ``levels``, ``check(y, name)``.
    conditionals : K modules
        Each with log_prob(x) -> (B,) and sample(n); number k is p(x | y=k) and checks x.
    class_counts : (K,), optional
        How often each class occurs (any positive scale); equal where not given.

    Notes
    -----
    In floating point of the ``class_counts`` or torch's default.

    Examples
    --------
    >>> from dgm.distribution.gaussian import FullGaussian
    >>> from dgm.distribution.support import Levels, Reals
    >>> data = Reals((2,))
    >>> parts = [FullGaussian(data), FullGaussian(data)]
    >>> model = GenerativeClassifier(data, Levels((), 2), parts, torch.tensor([30, 70]))
    >>> model.posterior(torch.zeros(1, 2)).probs.detach()  # equal parts: only the counts speak
    tensor([[0.3000, 0.7000]])
    """

    def __init__(
        self,
        data: object,
        labels: object,
        conditionals: Sequence[nn.Module],
        class_counts: Tensor | None = None,
    ):
        super().__init__()
        if len(conditionals) != labels.levels:
            raise ValueError(
                f"conditionals must be {labels.levels} models, one a label, got {len(conditionals)}"
            )
        counts = torch.ones(labels.levels) if class_counts is None else class_counts
        counts = counts if counts.is_floating_point() else counts.to(torch.get_default_dtype())
        if counts.shape != (labels.levels,) or not ((counts > 0) & counts.isfinite()).all():
            raise ValueError(f"class_counts must be {labels.levels} finite numbers > 0: {counts}")
        self.data, self.labels = data, labels
        self.conditionals = nn.ModuleList(conditionals)
        self.class_logits = nn.Parameter(counts.log())

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """(B, K) nats, exact: column k is log p(x, y=k)."""
        log_x_given_y = torch.stack([model.log_prob(x) for model in self.conditionals], dim=1)
        return self.class_logits.log_softmax(0) + log_x_given_y

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact: log p(x) = log sum_y p(x, y)."""
        return self.joint_log_prob(x).logsumexp(1)

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x) = p(x, y) / p(x), by Bayes' rule."""
        return Categorical(logits=self.joint_log_prob(x), validate_args=False)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B,) nats: -log p(x, y), or -log p(x) for examples without a label."""
        if y is None:
            return -self.log_prob(x)
        y = self.labels.check(y, "y", trusted=self.training)
        if len(y) != len(x):
            raise ValueError(f"y must hold a label for each of {len(x)} x, got {len(y)}")
        return -self.joint_log_prob(x).gather(1, y[:, None]).squeeze(1)

    @torch.no_grad()
    def sample(
        self, n: int, *, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """(n, *shape): first a class, then an example of it; y (n,) fixes the classes.

        The generator lives on the model's device.
        """
        if self.data.count(n) == 0:
            return self.conditionals[0].sample(0)
        if y is None:
            prior = self.class_logits.softmax(0)
            y = prior.multinomial(n, replacement=True, generator=generator)
        y = self.labels.check(y, "y")
        if len(y) != n:
            raise ValueError(f"y must have shape ({n},), got {tuple(y.shape)}")
        counts = y.bincount(minlength=len(self.conditionals)).tolist()
        parts = zip(self.conditionals, counts, strict=True)
        drawn = [model.sample(c, generator=generator) for model, c in parts if c]
        return torch.cat(drawn)[y.argsort(stable=True).argsort()]  # by class -> the order of y
