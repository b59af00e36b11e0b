"""Two scores that fix one factor and look at which code stands still.

BetaVAE score: Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl, section 3.
FactorVAE score: Kim and Mnih (2018), arXiv:1802.05983, section 4. Settings as in Locatello et al.
(2019), arXiv:1811.12359, appendix B. Needs torch and scikit-learn.

Both ask for codes of chosen factors: ``encode(factors)`` maps whole numbers (N, K) to codes (N, d).
Where all pictures of a grid are encoded once, that is a look into a table.
"""

from collections.abc import Callable

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

CODES_AT_ONCE = 1 << 18  # codes in memory


def _checked_counts(counts: tuple[int, ...], **numbers: int) -> None:
    """Raise a ValueError unless two factors or more vary, and every number is positive."""
    if len(counts) < 2 or min(counts) < 2:
        raise ValueError(f"counts must name at least 2 factors of at least 2 values, got {counts}")
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")


def _drawn(counts: tuple[int, ...], n: int, made: torch.Generator) -> Tensor:
    """n draws of independent factors, (n, K)."""
    return torch.stack([torch.randint(c, (n,), generator=made) for c in counts], 1)


def _still(counts: tuple[int, ...], n: int, size: int, made: torch.Generator) -> tuple:
    """n batches (n, size, K) with one factor fixed in each, and which one (n,)."""
    which = torch.randint(len(counts), (n,), generator=made)
    factors = _drawn(counts, n * size, made).view(n, size, -1)
    fixed = factors[:, :1].gather(2, which[:, None, None])  # (n, 1, 1)
    chosen = which[:, None, None].expand(n, size, 1)
    return factors.scatter(2, chosen, fixed.expand(n, size, 1)), which


def beta_vae_score(
    encode: Callable[[Tensor], Tensor], counts: tuple[int, ...], n_train: int = 10_000,
    n_test: int = 5000, batch: int = 64, seed: int = 0,
) -> float:  # fmt: skip
    """Accuracy of a linear classifier that says which factor was shared.

    A point is the mean |z - z'| over ``batch`` pairs of pictures that agree in one factor. Noise
    and constant codes score chance, 1 / K.

    Raises
    ------
    ValueError
        Fewer than two factors, or numbers that are not positive.
    """
    _checked_counts(counts, n_train=n_train, n_test=n_test, batch=batch)
    made, points, answers = torch.Generator().manual_seed(seed), [], []
    rows = max(1, CODES_AT_ONCE // (2 * batch))
    for part in torch.arange(n_train + n_test).split(rows):
        # pairs that agree in one factor
        n = len(part) * batch
        which = torch.randint(len(counts), (len(part),), generator=made)
        pair = [_drawn(counts, n, made) for _ in range(2)]
        column = which.repeat_interleave(batch)[:, None]
        pair[1].scatter_(1, column, pair[0].gather(1, column))
        a, b = (encode(factors) for factors in pair)
        points.append((a - b).abs().view(len(part), batch, -1).mean(1))
        answers.append(which)
    x, y = torch.cat(points).double().numpy(), torch.cat(answers).numpy()
    if len(set(y[:n_train])) < 2:
        raise ValueError(f"n_train must show two factors or more, got {n_train}")
    model = LogisticRegression(max_iter=1000).fit(x[:n_train], y[:n_train])
    return float(model.score(x[n_train:], y[n_train:]))


def stillest_codes(codes: Tensor, spread: Tensor) -> Tensor:
    """Batches of codes (n, size, d): the one of least variance relative to ``spread`` (d,), (n,).

    Codes of no spread (zero) are never chosen.
    """
    relative = codes.var(1) / spread.square()
    return relative.masked_fill(spread == 0, torch.inf).argmin(1)


def factor_vae_score(
    encode: Callable[[Tensor], Tensor], counts: tuple[int, ...], n_train: int = 10_000,
    n_test: int = 5000, batch: int = 64, least_std: float = 0.05, n_spread: int = 10_000,
    seed: int = 0,
) -> float:  # fmt: skip
    """Accuracy of a majority vote: the code that varies least names the factor that was fixed.

    Codes whose standard deviation over ``n_spread`` pictures is below ``least_std`` have no vote;
    if none is left the score is 0. Noise scores chance, 1 / K.

    Raises
    ------
    ValueError
        Fewer than two factors, or numbers that are not positive; batch must be at least 2.
    """
    _checked_counts(counts, n_train=n_train, n_test=n_test, batch=batch - 1, n_spread=n_spread - 1)
    made = torch.Generator().manual_seed(seed)
    spread = encode(_drawn(counts, n_spread, made)).std(0)
    spread = torch.where(spread < least_std, 0, spread)
    if not spread.any():
        return 0.0
    # which code stands still, batch after batch
    votes = torch.zeros(2, len(spread), len(counts))  # of training and test
    for half, n in enumerate((n_train, n_test)):
        for part in torch.arange(n).split(max(1, CODES_AT_ONCE // batch)):
            factors, which = _still(counts, len(part), batch, made)
            codes = encode(factors.flatten(0, 1)).view(len(part), batch, -1)
            pair = (stillest_codes(codes, spread), which)
            votes[half].index_put_(pair, torch.ones(len(part)), accumulate=True)
    # each code stands for the factor it named most often
    named = votes[0].argmax(1)
    return (votes[1].gather(1, named[:, None]).sum() / n_test).item()
