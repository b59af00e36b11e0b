"""Sounds in a page: what is heard is what came in, labelled, and nothing is fetched."""

import base64
import io
import re
import wave

import numpy as np
import pytest
import torch

from dgm.plot.sound import players


def heard(html):
    """Samples and rate of every player, by its name."""
    found = {}
    for name, data in re.findall(r'aria-label="([^"]+)"[^>]*base64,([^"]+)"', html):
        with wave.open(io.BytesIO(base64.b64decode(data))) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            found[name] = samples, file.getframerate(), file.getnchannels()
    return found


def test_players_hold_the_sounds_at_full_volume():
    tone = 0.01 * torch.sin(torch.arange(400) / 5)
    html = players({"a tone": tone, "louder": 500 * tone}, 8000).data
    found = heard(html)
    assert list(found) == ["a tone", "louder"]
    for samples, rate, channels in found.values():
        assert (rate, channels, len(samples)) == (8000, 1, 400)
        np.testing.assert_allclose(samples / 32_000, tone / tone.abs().max(), atol=1e-4)


def test_players_are_named_for_eye_and_ear_and_load_nothing():
    html = players({"<b>&": torch.ones(3)}, 8000).data
    assert html.count("&lt;b&gt;&amp;") == 2
    assert "http" not in html
    assert "autoplay" not in html
    assert html.count("<audio controls") == html.count("<figcaption") == 1


def test_silence_is_allowed():
    samples, *_ = heard(players({"silence": torch.zeros(8)}, 8000).data)["silence"]
    assert (samples == 0).all()


@pytest.mark.parametrize(
    ("sounds", "rate", "name"),
    [
        ({}, 8000, "sounds"),
        ({"a": torch.ones(4)}, 0, "rate"),
        ({"a": torch.ones(4, 2)}, 8000, "sounds"),
        ({"a": torch.ones(0)}, 8000, "sounds"),
        ({"a": torch.tensor([1.0, torch.nan])}, 8000, "sounds"),
    ],
)
def test_bad_sounds_are_named(sounds, rate, name):
    with pytest.raises(ValueError, match=name):
        players(sounds, rate)
