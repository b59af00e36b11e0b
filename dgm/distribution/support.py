"""The data a model is of: integers of one shape as stored (`Levels`), or reals (`Reals`).

The support of a law: torch.distributions.constraints; one imaginary half count for every level is
Jeffreys' prior (1946), doi:10.1098/rspa.1946.0056. Needs torch only.
"""

import math

import torch
from torch import Tensor


class _Support:
    """What both kinds share: a shape, and one wording for everything that is not a batch of it.

    Models hold one as ``data`` and call ``check`` once, where a public call begins.
    """

    def __init__(self, shape: tuple[int, ...]):
        if isinstance(shape, int) or not all(type(side) is int and side >= 1 for side in shape):
            raise ValueError(f"shape must hold whole numbers of at least 1, got {shape!r}")
        self.shape = tuple(shape)

    @property
    def dims(self) -> int:
        """Entries of one example, the D of bits per dimension."""
        return math.prod(self.shape)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def count(self, n: int, name: str = "n", least: int = 0) -> int:
        """n as an int; a ValueError unless it is a whole number of at least ``least``."""
        if isinstance(n, bool) or not hasattr(n, "__index__") or int(n) < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {n!r}")
        return int(n)

    def finite(self, z: Tensor, name: str = "z") -> Tensor:
        """Codes z (B >= 1, ...) of any shape, as they are; a ValueError unless finite floats."""
        return Reals(tuple(z.shape[1:]) if isinstance(z, Tensor) else ()).check(z, name)

    def _batch(self, x: Tensor, name: str, right_type: bool) -> None:
        """Raise a ValueError that says what ``name`` should be, unless type and shape are right."""
        is_tensor = isinstance(x, Tensor)
        shape_is_right = is_tensor and tuple(x.shape[1:]) == self.shape and x.ndim > 0
        if not (shape_is_right and right_type and len(x) > 0):
            sides = "".join(f", {side}" for side in self.shape)
            got = f"{x.dtype} {tuple(x.shape)}" if is_tensor else type(x).__name__
            raise ValueError(f"{name} must be {self}, a tensor (B >= 1{sides}); got {got}")

    def rows(self, x: Tensor, dtype: torch.dtype | None = None, trusted: bool = False) -> Tensor:
        """Checked x (B, *shape) as rows (B, D): levels in 0 .. 1, reals as they are."""
        return self.scaled(self.check(x, trusted=trusted), 0.0, 1.0, dtype).flatten(1)


class Levels(_Support):
    """Integers 0 .. levels - 1 of one shape: pixels (C, H, W), tokens (T,), labels ().

    Parameters
    ----------
    shape : tuple of int
        Of one example.
    levels : int
        How many values an entry can take, at least 2.

    Examples
    --------
    >>> pixels = Levels((1, 2), levels=5)
    >>> pixels.scaled(pixels.check(torch.tensor([[[0, 4]]])))
    tensor([[[-1.,  1.]]])
    """

    def __init__(self, shape: tuple[int, ...], levels: int):
        super().__init__(shape)
        self.levels = self.count(levels, "levels", least=2)

    def __repr__(self) -> str:
        return f"integers 0 .. {self.levels - 1}"

    def check(self, x: Tensor, name: str = "x", trusted: bool = False) -> Tensor:
        """x (B >= 1, *shape) as int64.

        ``trusted`` leaves out the look at the values where it would make a GPU wait: `fit` looks
        at all of them before it begins.

        Raises
        ------
        ValueError
            x is no tensor, not of integers, of another shape, empty, or out of range; it names x.
        """
        wrong = isinstance(x, Tensor) and (
            x.is_floating_point() or x.is_complex() or x.dtype == torch.bool
        )
        self._batch(x, name, not wrong)
        if not (trusted and x.is_cuda):
            low, high = int(x.min()), int(x.max())
            if low < 0 or high >= self.levels:
                raise ValueError(f"{name} must be {self}, got values {low} .. {high}")
        return x.long()

    def scaled(
        self, x: Tensor, low: float = -1.0, high: float = 1.0, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Levels x (...) -> floats in low .. high, of ``dtype`` or torch's default."""
        x = x.to(torch.get_default_dtype() if dtype is None else dtype)
        return x * ((high - low) / (self.levels - 1)) + low

    def unscaled(self, u: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
        """Undo `scaled`: floats (...) on the scale of the levels, not rounded."""
        return (u - low) * ((self.levels - 1) / (high - low))

    def stored(self, v: Tensor) -> Tensor:
        """Levels or floats (...) as data are stored: uint8 for images of up to 256, else int64.

        Floats are rounded down (the bin they lie in) and brought into range. A NaN is refused.
        """
        if v.is_floating_point():
            if v.isnan().any():
                raise ValueError("v holds NaN: no level can be made of it")
            v = v.floor().clamp(0, self.levels - 1)
        small = len(self.shape) == 3 and self.levels <= 256
        return v.to(torch.uint8 if small else torch.int64)

    def frequencies(self, x: Tensor, pseudo_count: float = 0.5) -> Tensor:
        """How often every level occurs at every place of x (N, *shape): (*shape, levels).

        Sums to one over levels; ``pseudo_count`` imaginary examples show each level. Memory stays
        near that of the answer, whatever N.
        """
        if not 0 <= pseudo_count < math.inf:
            raise ValueError(f"pseudo_count must be finite and at least 0, got {pseudo_count}")
        self._batch(x, "x", right_type=True)
        first = self.levels * torch.arange(self.dims, device=x.device)  # of every place
        counts = torch.zeros(self.dims * self.levels, device=x.device)
        for part in x.split(max(1, 2_000_000 // self.dims)):
            at = (self.check(part).flatten(1) + first).flatten()
            counts += torch.bincount(at, minlength=len(counts))
        counts = counts.view(*self.shape, self.levels) + pseudo_count
        return counts / counts.sum(-1, keepdim=True)

    def uniform_nats(self) -> float:
        """Nats per example of the uniform law, D log(levels), exact."""
        return self.dims * math.log(self.levels)

    def histogram_nats(self, train: Tensor, test: Tensor) -> Tensor:
        """Nats (B,) of ``test`` under independent places, with their frequencies in ``train``."""
        table = self.frequencies(train).log()
        v = self.check(test, "test").unsqueeze(-1)
        rows = [table.expand(len(p), *table.shape).gather(-1, p) for p in v.split(256)]
        return -torch.cat(rows).flatten(1).sum(1)


class Reals(_Support):
    """Finite floats of one shape: points and tables (D,), signals (T,), scaled pictures (C, H, W).

    Parameters
    ----------
    shape : tuple of int
        Of one example.

    Examples
    --------
    >>> Reals((2,)).check(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def __repr__(self) -> str:
        return "finite floats"

    def check(self, x: Tensor, name: str = "x", trusted: bool = False) -> Tensor:
        """x (B >= 1, *shape), as it is.

        ``trusted`` leaves out the look at the values where it would make a GPU wait.

        Raises
        ------
        ValueError
            x is no tensor, not of floats, of another shape, empty, or not finite; it names x.
        """
        self._batch(x, name, isinstance(x, Tensor) and x.is_floating_point())
        if not (trusted and x.is_cuda) and not x.isfinite().all():
            raise ValueError(f"{name} must be {self}, got NaN or infinite values")
        return x

    def scaled(
        self, x: Tensor, low: float = -1.0, high: float = 1.0, dtype: torch.dtype | None = None
    ) -> Tensor:
        """x itself: reals have no range to scale; of ``dtype`` if given."""
        return x if dtype is None else x.to(dtype)

    def unscaled(self, u: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
        """u itself, see `scaled`."""
        return u

    def stored(self, v: Tensor) -> Tensor:
        """v itself: reals are stored as they are."""
        return v
