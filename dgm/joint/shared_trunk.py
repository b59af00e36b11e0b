"""One trunk, two heads: log p(x, y) = log p(y | x) + log p(x) with shared parameters.

The joint model sketched by Tomczak (2021), "Likelihood and representation learning"; p(x) is
the chain rule over pixels with a window of the ones before, p(y | x) reads the same features.
Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional as F


class MeanHead(nn.Module):
    """Logits from the mean of the features over all places: softmax(scale * V mean_d h_d + b).

    With ``scale`` = D the mean is a sum.
    """

    def __init__(self, hidden_dim: int, n_classes: int, scale: float = 1.0):
        super().__init__()
        self.scale, self.linear = scale, nn.Linear(hidden_dim, n_classes)

    def forward(self, h: Tensor) -> Tensor:
        """Features h (B, hidden_dim, D) -> logits (B, n_classes)."""
        return self.linear(self.scale * h.mean(2))


class SharedTrunk(nn.Module):
    """A joint model of an image in raster order and its class, on one set of features.

    h_d = trunk(x_{d-window} .. x_{d-1}; d), the same weights at every pixel d;
    p(x) = prod_d softmax(U h_d)[x_d] and p(y | x) = softmax(class_head(h_1 .. h_D))[y].

    Parameters
    ----------
    data : Levels (support.py)
        What x is: ``shape``, ``dims``, ``levels``, ``check(x)``, ``stored(v)``, ``count(n)``.
    labels : Levels
        What y is, ``Levels((), K)``: ``levels``, ``check(y, name)``.
    window : int
        How many pixels before d the features of d see.
    hidden_dim : int
        Width of the trunk.
    class_head : nn.Module, optional
        Features (B, hidden_dim, D) to logits (B, K); the `MeanHead` when left out.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> model = SharedTrunk(Levels((1, 2, 2), 3), Levels((), 2))
    >>> model.joint_log_prob(model.sample(5)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        data: object,
        labels: object,
        window: int = 16,
        hidden_dim: int = 32,
        class_head: nn.Module | None = None,
    ):
        super().__init__()
        self.data, self.labels = data, labels
        self.window = data.count(window, "window", least=1)
        data.count(hidden_dim, "hidden_dim", least=1)
        self.look = nn.Conv1d(data.levels, hidden_dim, window)
        self.place = nn.Parameter(torch.zeros(hidden_dim, data.dims))  # where d is
        self.trunk = nn.Sequential(nn.ReLU(), nn.Conv1d(hidden_dim, hidden_dim, 1), nn.ReLU())
        self.pixel_head = nn.Conv1d(hidden_dim, data.levels, 1)
        self.class_head = MeanHead(hidden_dim, labels.levels) if class_head is None else class_head

    def _features(self, pixels: Tensor) -> Tensor:
        onehot = F.one_hot(pixels[:, :-1], self.data.levels).movedim(2, 1)  # (B, levels, D-1)
        padded = F.pad(onehot.to(self.place), (self.window, 0))  # feature d sees < d
        return self.trunk(self.look(padded) + self.place)  # (B, hidden_dim, D)

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels (B, D), their logits (B, levels, D) and those of the classes (B, K)."""
        pixels = self.data.check(x, trusted=self.training).flatten(1)
        h = self._features(pixels)
        return pixels, self.pixel_head(h), self.class_head(h)

    def terms(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """The two parts of log p(x, y), each (B,) nats: `log_y_given_x` and `log_x`."""
        pixels, pixel_logits, class_logits = self._logits(x)
        y = self.labels.check(y, "y", trusted=self.training)
        log_y = -F.cross_entropy(class_logits, y, reduction="none")
        log_x = -F.cross_entropy(pixel_logits, pixels, reduction="none").sum(1)
        return {"log_y_given_x": log_y, "log_x": log_x}

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """(B, K) nats, exact: column k is log p(x, y=k)."""
        pixels, pixel_logits, class_logits = self._logits(x)
        log_x = -F.cross_entropy(pixel_logits, pixels, reduction="none").sum(1)
        return class_logits.log_softmax(1) + log_x[:, None]

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact log mass of the integers x (B, *shape), read in raster order."""
        pixels = self.data.check(x, trusted=self.training).flatten(1)
        logits = self.pixel_head(self._features(pixels))
        return -F.cross_entropy(logits, pixels, reduction="none").sum(1)

    def posterior(self, x: Tensor) -> Categorical:
        """p(y | x), a head of the network: no Bayes' rule is needed."""
        return Categorical(logits=self._logits(x)[2], validate_args=False)

    def loss(self, x: Tensor, y: Tensor, weight: float | Tensor = 1.0) -> Tensor:
        """(B,) nats: -log p(y | x) - weight * log p(x); weight = 1 is the joint likelihood."""
        terms = self.terms(x, y)
        return -terms["log_y_given_x"] - weight * terms["log_x"]

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape) integers as stored, drawn one pixel at a time in raster order.

        The generator lives on the model's device.
        """
        n, dims = self.data.count(n), self.data.dims
        pixels = torch.zeros(n, dims, dtype=torch.long, device=self.place.device)
        for d in range(dims if n else 0):
            logits = self.pixel_head(self._features(pixels))[:, :, d]  # sees pixels before d
            pixels[:, d] = logits.softmax(1).multinomial(1, generator=generator).squeeze(1)
        return self.data.stored(pixels.reshape(n, *self.data.shape))
