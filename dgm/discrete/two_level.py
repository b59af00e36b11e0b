"""Two maps of codes, a coarse one for the whole and a fine one for the rest, and their prior.

Razavi, van den Oord and Vinyals (2019), VQ-VAE-2, arXiv:1906.00446, section 3, algorithms 1-2.
Needs torch only.
"""

import torch
from torch import Tensor, nn


class TwoLevelCodebook(nn.Module):
    """Codes of a map of features at half its resolution, then at its own, given the coarse ones.

    The two maps of codes are handed on as one row of integers, the coarse ones first, as a prior of
    sequences wants them.

    Parameters
    ----------
    top, bottom : nn.Module
        Two `Codebook` of one size, of the coarse map and the fine one.
    up : nn.Module
        Features (B, d, H, W) -> coarse features (B, d_top, h, w).
    down : nn.Module
        Vectors of the coarse codes (B, d_top, h, w) -> (B, c, H, W): what the fine level sees.
    merge : nn.Module
        Features and what was seen, (B, d + c, H, W) -> (B, d_bottom, H, W).
    place : (int, int), (int, int)
        Height and width of the coarse map and of the fine one.

    Raises
    ------
    ValueError
        The codebooks are of unequal size: one row of integers has one range.

    Examples
    --------
    >>> from dgm.discrete.codebook import Codebook
    >>> up, down, merge = nn.AvgPool2d(2), nn.Upsample(scale_factor=2), nn.Conv2d(6, 3, 1)
    >>> book = TwoLevelCodebook(Codebook(5, 3), Codebook(5, 3), up, down, merge, ((2, 2), (4, 4)))
    >>> passed, codes, _ = book.eval()(torch.randn(7, 3, 4, 4))
    >>> passed.shape, codes.shape
    (torch.Size([7, 6, 4, 4]), torch.Size([7, 20]))
    """

    def __init__(
        self,
        top: nn.Module,
        bottom: nn.Module,
        up: nn.Module,
        down: nn.Module,
        merge: nn.Module,
        place: tuple[tuple[int, int], tuple[int, int]],
    ):
        super().__init__()
        if top.n_codes != bottom.n_codes:
            got = f"{top.n_codes} and {bottom.n_codes}"
            raise ValueError(f"n_codes of top and bottom must be equal, got {got}")
        self.top, self.bottom, self.up, self.down, self.merge = top, bottom, up, down, merge
        self.n_codes, self.place = top.n_codes, tuple(map(tuple, place))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """h (B, d, H, W) -> what is handed on, codes (B, T), squared distances of both levels (B,).

        What is handed on are the vectors of both maps, (B, c + d_bottom, H, W).
        """
        coarse, top_codes, top_distance = self.top(self.up(h))
        seen = self.down(coarse)
        fine, bottom_codes, distance = self.bottom(self.merge(torch.cat((h, seen), 1)))
        codes = torch.cat((top_codes.flatten(1), bottom_codes.flatten(1)), 1)
        return torch.cat((seen, fine), 1), codes, top_distance + distance

    def maps(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, T) as the two maps, (B, 1, h, w) and (B, 1, H, W).

        Raises
        ------
        ValueError
            codes are no rows of that length.
        """
        (h, w), (height, width) = self.place
        if codes.ndim != 2 or codes.shape[1] != h * w + height * width:
            need = f"(B, {h * w + height * width})"
            raise ValueError(f"codes must be {need}, coarse ones first; got {tuple(codes.shape)}")
        top, bottom = codes.split((h * w, height * width), 1)
        return top.reshape(-1, 1, h, w), bottom.reshape(-1, 1, height, width)

    def features(self, codes: Tensor) -> Tensor:
        """The vectors of codes (B, T), as they are handed on: (B, c + d_bottom, H, W)."""
        top, bottom = self.maps(codes)
        return torch.cat((self.down(self.top.features(top)), self.bottom.features(bottom)), 1)


class TwoLevelPrior(nn.Module):
    """log p(codes) = log p(coarse) + log p(fine | coarse), for rows of codes, coarse ones first.

    Parameters
    ----------
    data : Levels (support.py)
        Rows of T codes: ``check``, ``count``, ``stored``.
    top : nn.Module
        ``log_prob(k)`` (B,), ``sample(n, generator=)``, ``data`` with the shape of the coarse map.
    bottom : nn.Module
        ``log_prob(k, y)`` (B,), ``sample(n, y=, generator=)``, y the coarse map; ``data``.

    Raises
    ------
    ValueError
        The two maps have not T codes together, or another number of levels.
    """

    def __init__(self, data: object, top: nn.Module, bottom: nn.Module):
        super().__init__()
        sizes = top.data.dims, bottom.data.dims
        if data.shape != (sum(sizes),) or not data.levels == top.data.levels == bottom.data.levels:
            got = f"{sizes} codes of {top.data.levels} and {bottom.data.levels}"
            raise ValueError(f"data of {data.shape} {data} must be both maps, which have {got}")
        self.data, self.top, self.bottom, self.sizes = data, top, bottom, sizes

    def terms(self, codes: Tensor) -> dict[str, Tensor]:
        """log p(coarse) and log p(fine | coarse), (B,) nats each, of codes (B, T)."""
        codes = self.data.check(codes, "codes", trusted=self.training)
        top, bottom = codes.split(self.sizes, 1)
        top = top.reshape(-1, *self.top.data.shape)
        bottom = bottom.reshape(-1, *self.bottom.data.shape)
        return {"coarse": self.top.log_prob(top), "fine": self.bottom.log_prob(bottom, top)}

    def log_prob(self, codes: Tensor) -> Tensor:
        """Exact log mass of codes (B, T), (B,) nats."""
        return sum(self.terms(codes).values())

    def loss(self, codes: Tensor) -> Tensor:
        """-log p(codes), (B,) nats."""
        return -self.log_prob(codes)

    def start_from(self, codes: Tensor) -> None:
        """Start both maps at how often every code (N, T) occurs at its place."""
        top, bottom = self.data.check(codes, "codes").split(self.sizes, 1)
        self.top.start_from(top.reshape(-1, *self.top.data.shape))
        self.bottom.start_from(bottom.reshape(-1, *self.bottom.data.shape))

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n rows of codes (n, T): the coarse map, then the fine one given it."""
        n = self.data.count(n)
        if n == 0:
            return self.data.stored(torch.zeros(0, sum(self.sizes), dtype=torch.int64))
        top = self.top.sample(n, generator=generator).long()
        bottom = self.bottom.sample(n, y=top, generator=generator).long()
        return self.data.stored(torch.cat((top.flatten(1), bottom.flatten(1)), 1))
