"""One trunk, two heads: log p(x, y) = log p(y | x) + log p(x) with shared parameters.

The joint model sketched by Tomczak (2021), "Likelihood and representation learning"; p(x) is
the chain rule over pixels with a window of the ones before, p(y | x) pools the same features.
Needs torch only.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SharedTrunk(nn.Module):
    """A joint model of an image in raster order and its class, on one set of features.

    h_d = trunk(x_{d-window} .. x_{d-1}; d), the same weights at every pixel d;
    p(x) = prod_d softmax(U h_d)[x_d] and p(y | x) = softmax(V mean_d h_d)[y].

    Parameters
    ----------
    shape : shape of one image; D is its number of entries.
    levels, n_classes : number of values of a pixel, and of classes.
    window : how many pixels before d the features of d see.
    hidden_dim : width of the trunk.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        levels: int,
        n_classes: int,
        window: int = 16,
        hidden_dim: int = 32,
    ):
        super().__init__()
        self.shape, self.levels, self.window = tuple(shape), levels, window
        self.look = nn.Conv1d(levels, hidden_dim, window)
        self.place = nn.Parameter(torch.zeros(hidden_dim, math.prod(shape)))  # where d is
        self.trunk = nn.Sequential(nn.ReLU(), nn.Conv1d(hidden_dim, hidden_dim, 1), nn.ReLU())
        self.pixel_head = nn.Conv1d(hidden_dim, levels, 1)
        self.class_head = nn.Linear(hidden_dim, n_classes)

    def _pixels(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape or x.is_floating_point() or not len(x):
            raise ValueError(
                f"x must be integers of shape (B, {', '.join(map(str, self.shape))}), "
                f"got {x.dtype} of shape {tuple(x.shape)}"
            )
        pixels = x.flatten(1).long()  # (B, D)
        if not 0 <= int(pixels.min()) <= int(pixels.max()) < self.levels:
            raise ValueError(
                f"x must hold levels 0 .. {self.levels - 1}, "
                f"got values from {int(pixels.min())} to {int(pixels.max())}"
            )
        return pixels

    def _features(self, pixels: Tensor) -> Tensor:
        onehot = F.one_hot(pixels[:, :-1], self.levels).movedim(2, 1)  # (B, levels, D-1)
        padded = F.pad(onehot.to(self.class_head.weight), (self.window, 0))  # feature d sees < d
        return self.trunk(self.look(padded) + self.place)  # (B, hidden_dim, D)

    def terms(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """The two parts of log p(x, y), each (B,) nats: `log_y_given_x` and `log_x`."""
        pixels = self._pixels(x)
        h = self._features(pixels)
        log_y = -F.cross_entropy(self.class_head(h.mean(2)), y, reduction="none")
        log_x = -F.cross_entropy(self.pixel_head(h), pixels, reduction="none").sum(1)
        return {"log_y_given_x": log_y, "log_x": log_x}

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats, exact log mass of the integers x (B, *shape), read in raster order."""
        pixels = self._pixels(x)
        logits = self.pixel_head(self._features(pixels))
        return -F.cross_entropy(logits, pixels, reduction="none").sum(1)

    def class_logits(self, x: Tensor) -> Tensor:
        """(B, n_classes): p(y | x) is their softmax."""
        return self.class_head(self._features(self._pixels(x)).mean(2))

    def loss(self, x: Tensor, y: Tensor, weight: float = 1.0) -> Tensor:
        """(B,) nats: -log p(y | x) - weight * log p(x); weight = 1 is the joint likelihood."""
        terms = self.terms(x, y)
        return -terms["log_y_given_x"] - weight * terms["log_x"]

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """(n, *shape) integers as stored, drawn one pixel at a time in raster order."""
        pixels = torch.zeros(n, math.prod(self.shape), dtype=torch.long, device=self.place.device)
        for d in range(pixels.shape[1]):
            logits = self.pixel_head(self._features(pixels))[:, :, d]  # sees pixels before d
            pixels[:, d] = logits.softmax(1).multinomial(1).squeeze(1)
        return pixels.reshape(n, *self.shape).to(torch.uint8 if self.levels <= 256 else torch.long)
