"""A causal network becomes the exact law of a sequence: one token after the other from a start.

Chain rule with a learned start symbol: Bengio et al. (2003), A Neural Probabilistic Language Model,
JMLR 3, section 2. Pixels as tokens: Chen et al. (2020), iGPT, section 2. Needs torch only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class TokenModel(nn.Module):
    """p(x) = prod_t p(x_t | start, x_0 .. x_{t-1}) for tokens 0 .. levels-1, exact.

    Position t of the input holds token t-1, and position 0 the start symbol: the shift by one that
    keeps a token from being predicted out of itself, and the reason that the first one is modelled.
    The last layer begins at zero, so an untrained model scores T log(levels) nats exactly.

    Parameters
    ----------
    backbone : nn.Module
        Causal map (B, T, width) -> (B, T, width): position t may use positions 0 .. t. It has the
        attribute ``width``, and ``step(h, state) -> (out, state)`` for one position (B, width),
        ``state`` being None at first.
    shape : tuple of int
        (T,) for sequences, which may also be shorter; (C, H, W) for images, read in raster order.
    levels : int
        Values a token can take, at least 2.
    places : bool
        Learn what is special about every position (for images); else a shift changes nothing.
    dropout : float
        On the embedded input and on the last features, in training only.

    Examples
    --------
    >>> class Sum(nn.Module):
    ...     width = 8
    ...     def forward(self, h):
    ...         return h.cumsum(1)
    >>> model = TokenModel(Sum(), (5,), levels=3)
    >>> round(model.loss(torch.tensor([[0, 1, 2, 1, 0]])).item() / math.log(3), 4)
    5.0
    """

    def __init__(
        self,
        backbone: nn.Module,
        shape: tuple[int, ...],
        levels: int,
        places: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        if levels < 2 or math.prod(shape) < 1:
            raise ValueError(f"levels >= 2 and shape not empty, got levels {levels}, {shape}")
        self.backbone, self.shape, self.levels = backbone, tuple(shape), levels
        self.embedding = nn.Embedding(levels + 1, backbone.width)  # the last row is the start
        self.places = nn.Embedding(math.prod(shape), backbone.width) if places else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.width, levels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def length(self) -> int:
        """T, the most tokens of one example."""
        return math.prod(self.shape)

    def tokens(self, x: Tensor) -> Tensor:
        """Check x (B, *shape) and flatten it to int64 (B, T)."""
        rows = x.shape[1:]
        shorter = len(self.shape) == 1 == len(rows) and 1 <= rows[0] < self.length
        if (tuple(rows) != self.shape and not shorter) or len(x) == 0:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected (B, *{self.shape}) with B >= 1"
                + " or shorter sequences" * (len(self.shape) == 1)
            )
        return self._in_range("x", x).flatten(1)

    def _in_range(self, name: str, x: Tensor) -> Tensor:
        if x.is_floating_point() or x.dtype == torch.bool:
            raise ValueError(f"{name} must be integers as stored, got {x.dtype}")
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < self.levels:
            raise ValueError(
                f"{name} must hold tokens in 0 .. {self.levels - 1}, "
                f"got values {x.min().item()} .. {x.max().item()}"
            )
        return x.long()

    def features(self, known: Tensor) -> Tensor:
        """Tokens known so far (B, t) -> what the head reads, (B, t + 1, width), t = 0 .. T-1."""
        start = known.new_full((len(known), 1), self.levels)
        h = self.embedding(torch.cat((start, known), 1))  # (B, t + 1, width): shifted by one
        if self.places is not None:
            h = h + self.places.weight[: h.shape[1]]
        return self.dropout(self.backbone(self.dropout(h)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, *shape, levels) of every token given the ones before it."""
        known = self.tokens(x)[:, :-1]
        return self.head(self.features(known)).unflatten(1, x.shape[1:])

    def token_log_prob(self, x: Tensor) -> Tensor:
        """log p(x_t | x_0 .. x_{t-1}) of every token, (B, *shape) nats, exact."""
        log_p = self(x).log_softmax(-1)
        return log_p.gather(-1, x.long().unsqueeze(-1)).squeeze(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact log mass, (B,) nats. Of a shorter sequence: the mass of all that begin with it."""
        return self.token_log_prob(x).flatten(1).sum(1)

    def loss(self, x: Tensor) -> Tensor:
        """Negative log mass, (B,) nats."""
        return -self.log_prob(x)

    @torch.no_grad()
    def stream_log_prob(self, stream: Tensor, keep: int) -> Tensor:
        """log p of every token of one long sequence (N,), each given at least ``keep`` before it.

        Windows of T tokens overlap by ``keep``, and of each only what is new counts: still one
        normalised factor for every token, (N,) nats. The first window begins with the start symbol.
        """
        if not 0 < keep < self.length or stream.ndim != 1:
            raise ValueError(
                f"stream is (N,) and keep in 1 .. {self.length - 1}, "
                f"got {tuple(stream.shape)} and {keep}"
            )
        parts, done = [self.token_log_prob(stream[None, : self.length])[0]], self.length
        while done < len(stream):
            window = stream[None, done - keep : done - keep + self.length]
            parts.append(self.token_log_prob(window)[0, keep:])
            done += self.length - keep
        return torch.cat(parts)

    def step(self, token: Tensor | None, place: int, state: object, n: int = 1) -> tuple:
        """Logits (n, levels) of the token at ``place`` given the one before it, and the new state.

        ``token`` (n,) is None at place 0; ``state`` is what the last call returned, None at first.
        """
        if token is None:
            token = torch.full((n,), self.levels, device=self.head.weight.device)
        h = self.embedding(token)
        if self.places is not None:
            h = h + self.places.weight[place]
        h, state = self.backbone.step(h, state)
        return self.head(h), state

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        prefix: Tensor | None = None,
        temperature: float = 1.0,
        adjust: Callable[[Tensor], Tensor] | None = None,
        cached: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw (n, *shape), token by token, in eval mode.

        Parameters
        ----------
        prefix : (P,) or (n, P) first tokens to keep, P < T.
        temperature : divides the logits; 1 draws from the model.
        adjust : logits (n, levels) -> logits, such as a cut to the likeliest tokens.
        cached : keep the backbone's state (one position per step), or run it on all positions anew
            for every token; same draws.

        Raises
        ------
        ValueError
            n < 1, temperature not above 0, or a prefix too long, out of range or of wrong shape.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        if not 0 < temperature < math.inf:
            raise ValueError(
                f"temperature must be above 0 and finite, got {temperature}; for its limit, the "
                "likeliest token every time, pass adjust=greedy (token_sampling.py)"
            )
        x, given = self._given(n, prefix)
        training, state = self.training, None
        self.eval()
        for t in range(self.length):
            if cached:
                logits, state = self.step(x[:, t - 1] if t else None, t, state, n)
            if t < given:
                continue
            if not cached:
                logits = self.head(self.features(x[:, :t])[:, -1])
            logits = logits / temperature
            logits = logits if adjust is None else adjust(logits)
            x[:, t] = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
        self.train(training)
        x = x.view(n, *self.shape)
        return x.to(torch.uint8) if len(self.shape) > 1 and self.levels <= 256 else x

    def write(self, prompt: Tensor, n: int, keep: int, **options: object) -> Tensor:
        """Continue ``prompt`` (P,) to n tokens, however long, at most ``keep`` of them known.

        ``options`` are those of `sample`, which is called again and again.
        """
        if not 0 < keep < self.length:
            raise ValueError(f"keep must lie in 1 .. {self.length - 1}, got {keep}")
        x = prompt
        while len(x) < n:
            known = x[-keep:]
            x = torch.cat((x, self.sample(1, prefix=known, **options)[0, len(known) :]))
        return x[:n]

    def _given(self, n: int, prefix: Tensor | None) -> tuple[Tensor, int]:
        """An empty (n, T) with the prefix filled in, and the prefix's length."""
        x = torch.zeros(n, self.length, dtype=torch.long, device=self.head.weight.device)
        if prefix is None:
            return x, 0
        if prefix.ndim not in (1, 2) or (prefix.ndim == 2 and len(prefix) != n):
            raise ValueError(f"prefix is (P,) or ({n}, P), got shape {tuple(prefix.shape)}")
        given = prefix.shape[-1]
        if given >= self.length:
            raise ValueError(f"prefix of {given} tokens leaves nothing to draw of {self.length}")
        x[:, :given] = self._in_range("prefix", prefix)
        return x, given
