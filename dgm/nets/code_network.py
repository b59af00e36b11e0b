"""From a map of codes to numbers for the law of each: codes are names, so each has a vector.

Embedded codes under the stacks of pixelcnn.py and gated_pixelcnn.py, conditioned on a coarser map:
Razavi et al. (2019), arXiv:1906.00446, section 3.2. Needs torch only.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu


class CoarseContext(nn.Module):
    """A coarse map of codes (B, 1, h, w) -> features (B, dim, H, W) for a finer one."""

    def __init__(self, n_codes: int, dim: int, place: tuple[int, int]):
        super().__init__()
        self.place = tuple(place)
        self.embed = nn.Embedding(n_codes, dim)
        self.look = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, y: Tensor) -> Tensor:
        """y (B, 1, h, w) integers -> (B, dim, H, W)."""
        h = interpolate(self.embed(y[:, 0]).movedim(-1, 1), size=self.place)
        return h + self.look(h)


class CodeNetwork(nn.Module):
    """K logits for every code of a map given those before it, through a causal stack.

    Unlike levels of grey, codes 3 and 4 are no nearer to each other than 3 and 30: the stack sees a
    learned vector for each, not a number.

    Parameters
    ----------
    stack : nn.Module
        ``stack(h)``, or ``stack(h, context)``: (B, embed_dim, H, W) -> (B, stack.width, H, W), each
        place using strictly earlier ones; ``stack.cache(n, context)`` as `GatedPixelCNN` has it.
    place : (int, int)
        (H, W) of the map.
    n_codes, embed_dim : int
        K, and the length of the vectors.
    context : nn.Module, optional
        Makes of y what the stack is given, a `CoarseContext`.
    noise : float
        Share of the codes that the stack sees exchanged for any other, in training only.

    Examples
    --------
    >>> from dgm.nets.gated_pixelcnn import GatedPixelCNN
    >>> net = CodeNetwork(GatedPixelCNN(6, (1, 4, 4), width=8, blocks=2), (4, 4), 5, 6)
    >>> net(torch.zeros(3, 16, dtype=torch.long)).shape
    torch.Size([3, 16, 5])
    """

    def __init__(
        self,
        stack: nn.Module,
        place: tuple[int, int],
        n_codes: int,
        embed_dim: int,
        context: nn.Module | None = None,
        noise: float = 0.0,
    ):
        super().__init__()
        if n_codes < 2 or embed_dim < 1 or not 0 <= noise <= 1:
            got = f"{n_codes}, {embed_dim} and {noise}"
            raise ValueError(f"n_codes >= 2, embed_dim >= 1, noise in [0, 1], got {got}")
        self.stack, self.place, self.context, self.noise = stack, tuple(place), context, noise
        self.embed = nn.Embedding(n_codes, embed_dim)
        self.head = nn.Conv2d(stack.width, n_codes, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def _given(self, y: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return y if self.context is None else (self.context(*y),)

    def forward(self, v: Tensor, *y: Tensor) -> Tensor:
        """Codes v (B, D) in raster order, and what they are conditioned on -> (B, D, K)."""
        if self.training and self.noise:
            other = torch.randint_like(v, self.embed.num_embeddings)
            v = torch.where(torch.rand(v.shape, device=v.device) < self.noise, other, v)
        h = self.embed(v).movedim(-1, 1).unflatten(2, self.place)  # (B, embed_dim, H, W)
        return self.head(silu(self.stack(h, *self._given(y)))).flatten(2).movedim(1, -1)

    def step(self, t: int, v: Tensor, state: tuple | None, *y: Tensor) -> tuple[Tensor, tuple]:
        """Logits (B, K) of code t, v[:, :t] being final, and the state for code t + 1."""
        if state is None:
            grid = self.head.weight.new_zeros(len(v), self.embed.embedding_dim, *self.place)
            state = self.stack.cache(len(v), *self._given(y)), grid
        cache, grid = state
        if t > 0:  # the code before is final now
            i, j = divmod(t - 1, self.place[1])
            grid[:, :, i, j] = self.embed(v[:, t - 1])
        h = cache(grid, *divmod(t, self.place[1]))[..., None, None]
        return self.head(silu(h))[..., 0, 0], state
