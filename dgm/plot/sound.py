"""Sounds in a page: labelled players whose samples are part of the page."""

import base64
import io
import wave
from collections.abc import Mapping
from html import escape

import torch
from torch import Tensor

PLAYERS = (
    '<div style="display:grid;gap:.4rem 1rem;'
    'grid-template-columns:repeat(auto-fit,minmax(min(14rem,100%),1fr))">{}</div>'
)
PLAYER = (
    '<figure style="margin:0"><figcaption style="font-size:.9em">{label}</figcaption>'
    '<audio controls aria-label="{label}" style="width:100%;height:2.4rem" src="{address}"></audio>'
    "</figure>"
)


def players(sounds: Mapping[str, Tensor], rate: int):
    """Show sounds (T,) as players in a grid, each under its name, each scaled to full volume.

    Samples are stored in the page with 16 bits: 2.7 bytes of HTML for each of them.

    Parameters
    ----------
    sounds : names, which are shown and read aloud, and waveforms of any scale.
    rate : samples per second.

    Returns
    -------
    IPython.display.HTML

    Raises
    ------
    ValueError : no sounds, a rate below 1, or a waveform that is not finite (T > 0,).
    """
    from IPython.display import HTML

    if not sounds:
        raise ValueError("sounds: got none; expected at least one name with its waveform")
    if rate < 1:
        raise ValueError(f"rate: got {rate}; expected at least 1 sample per second")
    shown = (
        PLAYER.format(label=escape(name), address=_wav(name, sound, rate))
        for name, sound in sounds.items()
    )
    return HTML(PLAYERS.format("".join(shown)))


def _wav(name: str, sound: Tensor, rate: int) -> str:
    """A data address of the sound as a mono WAV file."""
    x = torch.as_tensor(sound).detach().cpu().double()
    if x.ndim != 1 or len(x) == 0 or not x.isfinite().all():
        raise ValueError(f"sounds: {name!r} has shape {tuple(x.shape)}; expected finite (T > 0,)")
    samples = (x / x.abs().max().clamp_min(1e-12) * 32_000).round().to(torch.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(rate)
        file.writeframes(samples.numpy().astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()
