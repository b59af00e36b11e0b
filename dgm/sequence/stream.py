"""Sequences longer than the model: what each token costs, and writing on from a prompt.

Overlapping windows, of which only what is new counts: Baevski & Auli (2019), arXiv:1809.10853,
section 4.3. Any model of T tokens will do that has ``data.shape`` (T,), exact ``place_terms(x)``
(B, T) and ``sample(n, known=, mask=)``, as `Autoregressive`. Needs torch only.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _known_at_most(model: nn.Module, keep: int) -> int:
    """T, the tokens of the model; a ValueError unless ``keep`` lies in 1 .. T - 1."""
    (length,) = model.data.shape
    if not 0 < keep < length:
        raise ValueError(f"keep must lie in 1 .. {length - 1}, got {keep}")
    return length


@torch.no_grad()
def stream_log_prob(model: nn.Module, stream: Tensor, keep: int) -> Tensor:
    """log p of every token of one long sequence (N,), each given at least ``keep`` before it.

    Windows of T tokens overlap by ``keep``, and of each only what is new counts: still one
    normalised factor for every token, (N,) nats. The first window begins with the start symbol,
    and the last is filled up with zeros, which no token before them sees.
    """
    length = _known_at_most(model, keep)
    if stream.ndim != 1 or len(stream) == 0:
        raise ValueError(f"stream must be tokens (N >= 1,), got shape {tuple(stream.shape)}")
    parts, start = [], 0
    while start == 0 or start + keep < len(stream):
        window = stream[start : start + length]
        filled = F.pad(window, (0, length - len(window)))
        log_p = model.place_terms(filled[None])[0, : len(window)]
        parts.append(log_p[keep if start else 0 :])
        start += length - keep
    return torch.cat(parts)


def write(model: nn.Module, prompt: Tensor, n: int, keep: int, **options: object) -> Tensor:
    """Continue ``prompt`` (P >= 1,) to n tokens, however long, at most ``keep`` of them known.

    ``options`` are those of the model's `sample`, which is called again and again.
    """
    length = _known_at_most(model, keep)
    x, place = prompt, torch.arange(length, device=prompt.device)
    while len(x) < n:
        last = x[-keep:]
        known = F.pad(last, (0, length - len(last)))
        drawn = model.sample(1, known=known[None], mask=place < len(last), **options)[0]
        x = torch.cat((x, drawn[len(last) :]))
    return x[:n]
