"""Sequences: text, synthetic audio whose entropy rate is known, with an echo, and spoken digits.

Tokens are int64 (N, T) in 0 .. levels-1; `ar2` is float32 (N, T).
"""

import platform

import numpy as np
import torch
from torch import Tensor

from dgm.data import formats
from dgm.data.dataset import Dataset, check_at_least, from_law, split_parts
from dgm.data.download import find_file, local_folder
from dgm.data.markov import Autoregressive2, QuantisedAutoregressive2, QuantisedEcho

PRINTABLE = "\n" + "".join(map(chr, range(32, 127)))


def _windows(text: str, vocabulary: str, length: int, fractions: tuple[float, float]) -> dict:
    """Cut text into consecutive windows (N, length), the first fraction for training, and so on."""
    check_at_least("length", length, 2)
    table = np.full(max(map(ord, text)) + 1, vocabulary.index("?"), dtype=np.int64)
    codes = [(ord(c), k) for k, c in enumerate(vocabulary) if ord(c) < len(table)]
    table[[c for c, _ in codes]] = [k for _, k in codes]
    tokens = torch.from_numpy(table[np.frombuffer(text.encode("utf-32-le"), np.uint32)])
    n = len(tokens) // length
    train, val = int(n * fractions[0]), int(n * fractions[1])
    if min(train, val, n - train - val) < 1:
        raise ValueError(f"length {length} is too long for a text of {len(tokens)} characters")
    return split_parts(tokens[: n * length].reshape(n, length), None, (train, val, n - train - val))


def text(length: int = 64) -> Dataset:
    """Python's own help pages (pydoc_data.topics) in windows of `length` characters.

    96 tokens: newline and printable ASCII, all else written "?". The first 80 % of the windows
    train, the next 10 % validate, the last 10 % test. The pages differ a little between Python
    versions; `source` says which one this is.
    """
    from pydoc_data.topics import topics

    pages = "\n".join(topics[key] for key in sorted(topics))
    source = f"pydoc_data.topics of Python {platform.python_version()}"
    parts = _windows(pages, PRINTABLE, length, (0.8, 0.1))
    return Dataset(
        name="text", shape=(length,), levels=96, source=source, vocabulary=PRINTABLE, **parts
    )


def tiny_shakespeare(length: int = 64) -> Dataset:
    """Tiny Shakespeare in windows of `length` characters, 65 tokens. Downloaded (1 MB).

    The first 90 % of the windows train, the next 5 % validate, the last 5 % test.
    """
    if (folder := local_folder()) and (folder / "text/tinyshakespeare.txt.gz").is_file():
        content = formats.gunzip(folder / "text/tinyshakespeare.txt.gz").decode("ascii")
    else:
        repository = "karpathy/char-rnn/{}master/data/tinyshakespeare/input.txt"
        addresses = [
            "https://raw.githubusercontent.com/" + repository.format(""),
            "https://github.com/" + repository.format("raw/"),
        ]
        digest = "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
        path = find_file("tiny_shakespeare", "text/tinyshakespeare.txt", addresses, digest)
        content = path.read_text(encoding="ascii")
    vocabulary = "".join(sorted(set(content)))
    return Dataset(
        name="tiny_shakespeare",
        shape=(length,),
        levels=len(vocabulary),
        source="Tiny Shakespeare, complete",
        vocabulary=vocabulary,
        **_windows(content, vocabulary, length, (0.9, 0.05)),
    )


def ar2(
    n: int = 2_000,
    length: int = 128,
    radius: float = 0.95,
    frequency: float = 0.1,
    noise: float = 1.0,
    seed: int = 0,
) -> Dataset:
    """Synthetic audio, real-valued: white noise through a resonator, a stationary AR(2) process.

    frequency is in cycles per sample; entropy rate log(2 pi e noise^2) / 2 nats per sample.
    """
    law = Autoregressive2(length, radius, frequency, noise)
    return from_law("ar2", law, n, seed)


def audio(
    n: int = 2_000,
    length: int = 128,
    levels: int = 32,
    radius: float = 0.95,
    frequency: float = 0.1,
    noise: float = 1.5,
    seed: int = 0,
) -> Dataset:
    """Synthetic audio as tokens: a resonator with `levels` levels, an exact Markov chain.

    noise is in levels; `law.entropy_rate()` is exact.
    """
    law = QuantisedAutoregressive2(length, levels, radius, frequency, noise)
    return from_law("audio", law, n, seed, levels=levels)


def echo(
    n: int = 2_000,
    length: int = 512,
    levels: int = 32,
    radius: float = 0.8,
    frequency: float = 0.1,
    noise: float = 1.0,
    delay: int = 257,
    strength: float = 0.8,
    seed: int = 0,
) -> Dataset:
    """Synthetic audio with a long memory: a resonator whose puffs of noise come back as echoes.

    `delay` is in samples, noise in levels; every sample brings `law.entropy_rate()` nats, exactly.
    What looks back less than `delay` samples pays about log(1 + strength^2) / 2 nats more for each
    sample after the first echo, and more yet after the second.
    """
    law = QuantisedEcho(length, levels, radius, frequency, noise, delay, strength)
    return from_law("echo", law, n, seed, levels=levels)


def mu_law(x: Tensor, levels: int = 256) -> Tensor:
    """Amplitudes in [-1, 1] -> tokens 0 .. levels-1, logarithmic as in ITU-T G.711."""
    mu = levels - 1
    squashed = x.sign() * torch.log1p(mu * x.abs()) / np.log1p(mu)
    return ((squashed + 1) / 2 * mu + 0.5).floor().clamp(0, mu).long()


def spoken_digits(length: int = 4096) -> Dataset:
    """Free Spoken Digits, 8 kHz, mu-law tokens of 256 levels, labels 0 to 9. Downloaded (12 MB).

    Every recording is cut, or filled up with silence, to `length` samples. Official split:
    recordings 0 to 4 of each speaker and digit test; 5 and 6 validate, the others train.
    If the folder of DGM_DATA holds only 300 recordings by 2 speakers, `source` says so.
    """
    check_at_least("length", length, 1)
    archive, subset = "FSDD/free-spoken-digit-dataset-1.0.9.tar.gz", "FSDD/fsdd_2speakers_300.npz"
    folder = local_folder()
    if folder and not (folder / archive).is_file() and (folder / subset).is_file():
        recordings, y, number = formats.spoken_digits_subset(folder / subset)
        source = "SUBSET of Free Spoken Digits: 300 recordings by 2 speakers"
    else:
        address = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz"
        digest = "sha256:8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0"
        path = find_file("spoken_digits", archive, [address], digest)
        recordings, y, number = formats.spoken_digits_archive(path)
        source = "Free Spoken Digits 1.0.9"
    x = np.zeros((len(recordings), length), np.float32)
    for row, wave in zip(x, recordings, strict=True):
        row[: len(wave)] = wave[:length] / 32768.0
    part = torch.where(number < 5, 2, torch.where(number < 7, 1, 0))  # 0 train, 1 val, 2 test
    order = part.argsort(stable=True)
    sizes = tuple(torch.bincount(part, minlength=3).tolist())
    parts = split_parts(mu_law(torch.from_numpy(x))[order], y[order], sizes)
    return Dataset(name="spoken_digits", shape=(length,), levels=256, source=source, **parts)
