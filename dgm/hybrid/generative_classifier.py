"""A classifier made of densities: p(x, y) = p(y) p(x | y), and Bayes' rule gives p(y | x).

Bishop (2006), Pattern Recognition and Machine Learning, section 4.2; Ng and Jordan (2002),
"On discriminative vs. generative classifiers".
Needs torch only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Categorical


class GenerativeClassifier(nn.Module):
    """p(x, y) = p(y) p(x | y), with one model of x per class.

    Parameters
    ----------
    conditionals : K modules, each with log_prob(x) -> (B,) and sample(n); number k is p(x | y=k).
    class_counts : (K,) how often each class occurs (any positive scale); equal where not given.

    Example
    -------
    >>> class Uniform(nn.Module):
    ...     def log_prob(self, x):
    ...         return torch.zeros(len(x))
    >>> model = GenerativeClassifier([Uniform(), Uniform()], class_counts=torch.tensor([30, 70]))
    >>> model.posterior(torch.rand(1, 1)).probs.detach()  # p(y | x): here only the counts speak
    tensor([[0.3000, 0.7000]])
    """

    def __init__(self, conditionals: Sequence[nn.Module], class_counts: Tensor | None = None):
        super().__init__()
        if len(conditionals) < 2:
            raise ValueError(f"conditionals must be at least 2 models, got {len(conditionals)}")
        counts = torch.ones(len(conditionals)) if class_counts is None else class_counts.float()
        if counts.shape != (len(conditionals),) or not (counts > 0).all():
            raise ValueError(
                f"class_counts must be {len(conditionals)} numbers above 0, got {class_counts}"
            )
        self.conditionals = nn.ModuleList(conditionals)
        self.levels = getattr(conditionals[0], "levels", None)  # of integer data
        self.class_logits = nn.Parameter(counts.log())

    def log_joint(self, x: Tensor) -> Tensor:
        """(B, K) nats, exact: column k is log p(x, y=k)."""
        log_x_given_y = torch.stack([model.log_prob(x) for model in self.conditionals], dim=1)
        return self.class_logits.log_softmax(0) + log_x_given_y

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact: log p(x) = log sum_y p(x, y)."""
        return self.log_joint(x).logsumexp(1)

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x) = p(x, y) / p(x), by Bayes' rule."""
        return Categorical(logits=self.log_joint(x), validate_args=False)

    def loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B,) nats: -log p(x, y), or -log p(x) for examples without a label."""
        if y is None:
            return -self.log_prob(x)
        if y.shape != x.shape[:1] or y.is_floating_point():
            raise ValueError(f"y must be {len(x)} integer labels, got {y.dtype} {tuple(y.shape)}")
        if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < len(self.conditionals):
            raise ValueError(f"y must hold labels 0 .. {len(self.conditionals) - 1}")
        return -self.log_joint(x).gather(1, y[:, None]).squeeze(1)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None) -> Tensor:
        """(n, ...): first a class, then an example of it; y (n,) int64 fixes the classes."""
        if y is None:
            y = self.class_logits.softmax(0).multinomial(n, replacement=True)
        if y.shape != (n,):
            raise ValueError(f"y must have shape ({n},), got {tuple(y.shape)}")
        counts = y.bincount(minlength=len(self.conditionals)).tolist()
        drawn = [m.sample(c) for m, c in zip(self.conditionals, counts, strict=True) if c]
        return torch.cat(drawn)[y.argsort().argsort()]  # sorted by class -> the order of y
