"""The codec of a model of the zoo: which one, with how many bits to begin with."""

from __future__ import annotations

import torch
from torch import nn

from dgm.autoregressive.autoregressive import Autoregressive
from dgm.compression.bit_stack import BitStack
from dgm.compression.bit_swap import BitSwap
from dgm.compression.bits_back import BitsBack, pixel_table
from dgm.compression.buckets import Buckets
from dgm.compression.chain_codec import ChainCodec
from dgm.compression.flow_codec import FlowCodec
from dgm.compression.integer_flow import IntegerFlow
from dgm.compression.integer_table import IntegerTable
from dgm.compression.mixture_codec import MixtureCodec
from dgm.compression.order_codec import OrderCodec
from dgm.compression.top_down_codec import TopDownCodec
from dgm.diffusion.absorbing import AbsorbingDiffusion
from dgm.hierarchical.top_down import TopDown
from dgm.mixture.categorical_mixture import CategoricalMixture
from dgm.mixture.discretized_mixture import DiscretizedMixture, log_bin_mass
from dgm.vae.vae import VAE

BUCKETS = 256  # of a latent number


def new_stack(content: bytes = b"") -> BitStack:
    """A stack that counts with 24 bits, empty or with this content."""
    return BitStack(IntegerTable(), content)


def codec_of(model: nn.Module, n_buckets: int = BUCKETS, **options: object) -> object:
    """The codec of a trained model of levels; ``options`` go to it.

    Raises
    ------
    ValueError
        There is none for models of this kind.
    """
    if isinstance(model, Autoregressive):
        return ChainCodec(model, **options)
    if isinstance(model, IntegerFlow):
        return FlowCodec(model, **options)
    if isinstance(model, AbsorbingDiffusion):
        return OrderCodec(model, **options)
    if isinstance(model, VAE):
        return BitsBack(model, Buckets(n_buckets), **options)
    if isinstance(model, TopDown):
        kind = BitSwap if model.layers[0].rising is not None else TopDownCodec
        return kind(model, Buckets(n_buckets), pixel_table, **options)
    # mixtures of independent pixels: their tables
    if isinstance(model, CategoricalMixture):
        table = model.pixel_logits.double().log_softmax(2)
    elif isinstance(model, DiscretizedMixture):
        table = log_bin_mass(model.means.double(), model.log_scale.double(), model.data.levels)
    else:
        raise ValueError(f"model must be of a kind that has a codec, got {type(model).__name__}")
    return MixtureCodec(model.data, model.logits.double().log_softmax(0), table, **options)


def words_to_begin_with(model: nn.Module) -> int:
    """Words that the first picture's draws take from a stack; 0 where nothing is drawn."""
    if isinstance(model, VAE):
        numbers = model.prior.sample(1, generator=torch.Generator()).shape[1]
    elif isinstance(model, TopDown):
        numbers = sum(z[0].numel() for z in model.draw(1, generator=torch.Generator()))
    elif isinstance(model, CategoricalMixture | DiscretizedMixture):
        return 1
    else:
        return 0
    return -(-numbers * (BUCKETS.bit_length() - 1) // 32) + 1
