"""Subscale pixel networks: small interleaved images one after the other.

Menick & Kalchbrenner (2019), arXiv:1812.01608, section 3 (subscale order, size and depth
upscaling). The decoder is a causal network such as that of gated_pixelcnn.py. Needs torch only.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def to_slices(x: Tensor, scale: int) -> Tensor:
    """Images (B, 1, H, W) -> their slices (B, scale^2, H / scale, W / scale), in their order.

    Slice s holds the pixels (i, j) with s = (i mod scale) scale + (j mod scale).
    """
    return F.pixel_unshuffle(x, scale)


def from_slices(slices: Tensor, scale: int) -> Tensor:
    """Undo `to_slices`: (B, K scale^2, h, w) -> (B, K, h scale, w scale)."""
    return F.pixel_shuffle(slices, scale)


def end_features(x: Tensor, levels: int) -> Tensor:
    """What the networks see of levels (B, C, h, w), (B, 3 C, h, w): the level, and both ends."""
    level = 2 * x / (levels - 1) - 1
    return torch.cat((level, (x == 0).to(level.dtype), (x == levels - 1).to(level.dtype)), 1)


class Subscale(nn.Module):
    """p(x) = prod_s p(slice s | slices before it), one pair of networks for all slices; exact.

    The encoder looks at the whole of every earlier slice and may mix all places; the decoder goes
    through the slice at hand in raster order, and is strictly causal.

    Parameters
    ----------
    encoder : nn.Module
        (B, C, h, w) -> (B, context, h, w), C = 4 scale^2, or 7 scale^2 with ``given_levels``: three
        features of each slice, zero where it is not known yet, and whether it is.
    decoder : nn.Module
        ``decoder(h, context)``: (B, 3, h, w) -> (B, decoder.width, h, w); with
        ``cache(n, context)``, samples are drawn with it, see pixel_model.py.
    shape, levels : (1, H, W), multiples of scale, and the values 0 .. levels-1 of a pixel.
    scale : slices in each direction; 1 for plain raster order.
    first : a model of small images (1, H / scale, W / scale) for slice 0: size upscaling.
    given_levels, top : if x is the fine part of values levels * given + x < top, with ``given``
        known at every pixel: depth upscaling, see depth_upscaling.py.

    Note: no self-attention in the decoder, and slices are not moved to sit around the next one.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        shape: tuple[int, int, int],
        levels: int,
        scale: int = 2,
        first: nn.Module | None = None,
        given_levels: int = 0,
        top: int = 0,
    ):
        super().__init__()
        if len(shape) != 3 or shape[0] != 1 or scale < 1 or shape[1] % scale or shape[2] % scale:
            raise ValueError(f"shape is (1, H, W), multiples of scale, got {shape} and {scale}")
        if levels is None or levels < 2 or (first is not None and given_levels):
            raise ValueError(f"levels >= 2; first or given_levels, got {levels}, {given_levels}")
        self.encoder, self.decoder, self.first = encoder, decoder, first
        self.shape, self.levels, self.scale = tuple(shape), levels, scale
        self.given_levels, self.top = given_levels, top or levels * max(1, given_levels)
        self.small = (shape[1] // scale, shape[2] // scale)
        self.head = nn.Conv2d(decoder.width, levels, 1)
        nn.init.zeros_(self.head.weight)
        self.background = nn.Parameter(torch.zeros(*self.shape, levels))
        places = torch.arange(math.prod(shape)).view(1, *shape)
        self.register_buffer("order", to_slices(places, scale).flatten())

    def check(self, x: Tensor, levels: int, name: str = "x") -> Tensor:
        """x as int64; a ValueError unless it is (B >= 1, *shape) integers 0 .. levels-1."""
        good = tuple(x.shape[1:]) == self.shape and len(x) > 0
        if not good or x.is_floating_point() or x.dtype == torch.bool:
            raise ValueError(
                f"{name} must be integers (B >= 1, {', '.join(map(str, self.shape))}), "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        if int(x.min()) < 0 or int(x.max()) >= levels:
            raise ValueError(
                f"{name} must lie in 0 .. {levels - 1}, got {int(x.min())} .. {int(x.max())}"
            )
        return x.long()

    def _given(self, given: Tensor | None, n: int) -> Tensor | None:
        """The checked coarse image, or None for a model without."""
        if (given is None) == bool(self.given_levels) or (given is not None and len(given) != n):
            need = f"({n}, *{self.shape})" if self.given_levels else "left out"
            got = None if given is None else tuple(given.shape)
            raise ValueError(f"given must be {need} for this model, got {got}")
        return None if given is None else self.check(given, self.given_levels, "given")

    def _context(self, slices: Tensor, known: int, given: Tensor | None) -> Tensor:
        """The encoder's view of the first ``known`` of the slices (B, S, h, w)."""
        seen = torch.zeros_like(slices)
        seen[:, :known] = 1
        h = end_features(slices.to(self.background.dtype), self.levels) * seen.repeat(1, 3, 1, 1)
        h = torch.cat((h, seen), 1)
        if given is not None:
            whole = to_slices(given, self.scale).to(h.dtype)
            h = torch.cat((h, end_features(whole, self.given_levels)), 1)
        return self.encoder(h)

    def _impossible(self, given: Tensor | None) -> Tensor | None:
        """Where (B, 1, H, W, levels) levels * given + x would be ``top`` or more."""
        if given is None:
            return None
        x = torch.arange(self.levels, device=given.device)
        return self.levels * given.unsqueeze(-1) + x >= self.top

    def _background(self, s: int) -> Tensor:
        """What is particular to the places of slice s, (levels, h, w)."""
        return to_slices(self.background.movedim(-1, 0), self.scale)[:, s]

    def _logits(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Logits (B, *shape, levels) of checked images."""
        slices, parts = to_slices(x, self.scale), []
        for s in range(slices.shape[1]):
            if s == 0 and self.first is not None:
                part = self.first(slices[:, :1])[:, 0].movedim(-1, 1)  # (B, levels, h, w)
            else:
                here = end_features(slices[:, s : s + 1].to(self.background.dtype), self.levels)
                h = self.decoder(here, self._context(slices, s, given))
                part = self.head(F.silu(h)) + self._background(s)
            parts.append(part)
        logits = from_slices(torch.stack(parts, 2).flatten(1, 2), self.scale)  # (B, levels, H, W)
        logits = logits.movedim(1, -1).unsqueeze(1)
        out = self._impossible(given)
        return logits if out is None else logits.masked_fill(out, -math.inf)

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Logits (B, *shape, levels) of every pixel given those before it in ``order``."""
        x = self.check(x, self.levels)
        return self._logits(x, self._given(given, len(x)))

    def log_prob(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Exact log p(x), or log p(x | given), (B,) nats."""
        table = self(x, given).log_softmax(-1)
        return table.gather(-1, x.long().unsqueeze(-1)).flatten(1).sum(1)

    def loss(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """-log p(x), (B,) nats."""
        return -self.log_prob(x, given)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        given: Tensor | None = None,
        small: Tensor | None = None,
        generator: torch.Generator | None = None,
        cached: bool = True,
    ) -> Tensor:
        """Draw (n, *shape) as stored, slice by slice, in eval mode.

        ``given`` (n, *shape) is the coarse image of depth upscaling. ``small`` (n, 1, h, w) are
        levels of slice 0 to be kept: an exact draw of all the others given these.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        training = self.training
        self.eval()
        given = self._given(given, n)
        slices = torch.zeros(n, self.scale**2, *self.small, dtype=torch.long)
        slices = slices.to(self.background.device)
        if small is not None or self.first is not None:
            small = self.first.sample(n, generator=generator) if small is None else small
            slices[:, :1] = self._small(small, n)
        for s in range(small is not None, slices.shape[1]):
            self._draw_slice(slices, s, given, generator, cached)
        self.train(training)
        x = from_slices(slices, self.scale)
        return x.to(torch.uint8) if self.levels <= 256 else x

    def _small(self, small: Tensor, n: int) -> Tensor:
        if tuple(small.shape) != (n, 1, *self.small) or small.is_floating_point():
            need = (n, 1, *self.small)
            raise ValueError(
                f"small must be integers {need}, got {small.dtype} {tuple(small.shape)}"
            )
        if int(small.min()) < 0 or int(small.max()) >= self.levels:
            raise ValueError(f"small must lie in 0 .. {self.levels - 1}")
        return small.long()

    def _draw_slice(self, slices, s, given, generator, cached) -> None:
        """Fill in slice s, in place, pixel by pixel."""
        context, out = self._context(slices, s, given), self._impossible(given)
        background, real = self._background(s), self.background.dtype
        whole = lambda h, i, j: self.decoder(h, context)[:, :, i, j]  # noqa: E731
        use = cached and hasattr(self.decoder, "cache")
        step = self.decoder.cache(len(slices), context) if use else whole
        for i, j in itertools.product(*map(range, self.small)):
            here = end_features(slices[:, s : s + 1].to(real), self.levels)
            h = F.silu(step(here, i, j))[..., None, None]
            logits = self.head(h)[..., 0, 0] + background[:, i, j]
            if out is not None:
                row, column = i * self.scale + s // self.scale, j * self.scale + s % self.scale
                logits = logits.masked_fill(out[:, 0, row, column], -math.inf)
            drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            slices[:, s, i, j] = drawn[:, 0]
