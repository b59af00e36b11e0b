"""Models as parts of other models: whatever has `log_prob(z)` and `sample(n)` serves.

Points as the prior of a VAE and the base of a flow; levels as the prior of a VAE over level codes,
the small image of a size upscaling and the coarse one of a depth upscaling.
"""

import pytest
import torch
from torch import nn

from dgm import zoo
from dgm.distribution.likelihood import SoftmaxDecoder
from dgm.distribution.support import Levels, Reals
from dgm.flow.elementwise import Scale
from dgm.flow.flow import Flow
from dgm.pixel.depth_upscaling import DepthUpscaling
from dgm.pixel.size_upscaling import SizeUpscaling
from dgm.vae.gaussian_posterior import GaussianEncoder
from dgm.vae.vae import VAE


def as_prior(part):
    """A VAE of four ternary values whose prior is the part, a law of the plane."""
    data = Levels((4,), 3)
    encoder = GaussianEncoder(nn.Linear(4, 4), 2)
    return VAE(data, encoder, SoftmaxDecoder(nn.Linear(2, 12), data), part), data


def as_base(part):
    """A flow of one scaling over the part, a law of the plane."""
    return Flow([Scale((2,), 2.0)], part, Reals((2,))), Reals((2,))


def as_first(part):
    """Four by four pixels whose every second one, both ways, is the part's."""
    data = Levels((1, 4, 4), 3)
    rest = zoo.get("subscale").build(data, width=6, blocks=1)
    return SizeUpscaling(part, rest), data


def as_coarse(part):
    """Two by two pixels of nine levels whose high digits are the part's."""
    data = Levels((1, 2, 2), 9)
    fine = zoo.get("depth_upscaling").build(data, width=6, blocks=1, step=3).fine
    return DepthUpscaling(part, fine, data, 3), data


PLACES = ((Reals((2,)), as_prior), (Reals((2,)), as_base), (Levels((1, 2, 2), 3), as_first),
          (Levels((1, 2, 2), 3), as_coarse))  # fmt: skip


def serves_as_a_part(entry):
    """The whole scores (B,), draws with the generator alone, and hands its gradient to the part."""
    served = 0
    for kind, whole_of in PLACES:
        torch.manual_seed(0)
        try:
            part = entry.build(kind)
        except ValueError:
            continue
        if not (hasattr(part, "log_prob") and hasattr(part, "sample")):
            continue
        whole, data = whole_of(part)
        size = (5, *data.shape)
        x = torch.randint(data.levels, size) if isinstance(data, Levels) else torch.randn(size)
        loss = whole.loss(x)
        assert loss.shape == (5,), whole_of.__name__
        loss.sum().backward()
        moved = [p for p in part.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
        assert moved or not list(part.parameters()), f"{whole_of.__name__}: no gradient"
        stream = torch.get_rng_state()
        draws = [whole.sample(6, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
        assert torch.equal(*draws), whole_of.__name__
        assert torch.equal(torch.get_rng_state(), stream), f"{whole_of.__name__}: global stream"
        assert draws[0].shape == (6, *data.shape)
        assert whole.sample(0).shape == (0, *data.shape), whole_of.__name__
        served += 1
    if not served:
        pytest.skip("no exact density of these kinds of data that can be drawn from")
