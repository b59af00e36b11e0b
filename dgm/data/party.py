"""A cocktail party: three synthetic sounds for separating sources by ear.

The singer is a crude formant synthesiser: Fant (1960), Acoustic Theory of Speech Production.
"""

import math

import torch
from torch import Tensor

from dgm.data.dataset import check_positive

MELODY = (262.0, 330.0, 392.0, 523.0, 440.0, 392.0, 330.0, 294.0)  # Hz, four notes a second
VOWELS = ((730.0, 1090.0), (270.0, 2290.0), (530.0, 1840.0), (300.0, 870.0))  # formants, Hz


def party(seconds: float = 2.0, rate: int = 8000, seed: int = 0) -> dict[str, Tensor]:
    """An organ, drums and a singer, each (T,) with mean 0 and variance 1.

    The organ has lighter tails than a Gaussian, the others much heavier ones.

    Raises ValueError when a length or a rate is not positive.
    """
    check_positive("seconds", seconds)
    check_positive("rate", rate)
    t = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    generator = torch.Generator().manual_seed(seed)
    sounds = {"organ": _organ(t, rate), "drums": _drums(t, generator), "singer": _singer(t, rate)}
    return {name: ((s - s.mean()) / s.std(correction=0)).float() for name, s in sounds.items()}


def _organ(t: Tensor, rate: int) -> Tensor:
    """A tune in which every note has three harmonics."""
    pitch = torch.tensor(MELODY, dtype=t.dtype)[(4 * t).long() % len(MELODY)]
    harmonic = torch.arange(1, 4)[:, None]
    return (torch.sin(2 * math.pi * harmonic * pitch.cumsum(0) / rate) / harmonic).sum(0)


def _drums(t: Tensor, generator: torch.Generator) -> Tensor:
    """A kick twice a second, and bursts of noise between."""
    kick = torch.sin(2 * math.pi * 60 * t) * torch.exp(-12 * (2 * t % 1))
    noise = torch.empty_like(t).normal_(generator=generator)
    return kick + 0.6 * noise * torch.exp(-25 * ((4 * t + 0.5) % 1))


def _singer(t: Tensor, rate: int) -> Tensor:
    """Harmonics of a pitch with vibrato, loud near the two formants of a vowel, three a second."""
    formants = torch.tensor(VOWELS, dtype=t.dtype)[(3 * t).long() % len(VOWELS)].T[:, None]
    pitch, harmonic = 120 + 6 * torch.sin(2 * math.pi * 5 * t), torch.arange(1, 26)[:, None]
    loud = (1 / (1 + ((harmonic * pitch - formants) / 90) ** 2)).sum(0)  # (25, T)
    voiced = (loud * torch.sin(2 * math.pi * harmonic * pitch.cumsum(0) / rate)).sum(0)
    return voiced * torch.sin(math.pi * (3 * t % 1)).square()
