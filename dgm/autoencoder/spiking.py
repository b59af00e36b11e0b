"""A spiking autoencoder: neurons that fire or are silent, trained through a surrogate gradient.

Huebotter, Lanillos & Tomczak (2021), arXiv:2109.11045, with their two activity regularisers; the
fast-sigmoid surrogate of Zenke & Ganguli (2018), arXiv:1705.11146; leaky integrate-and-fire neurons
after Gerstner et al. (2014), Neuronal Dynamics, section 1.3. Needs torch only.
"""

import math

import torch
from torch import Tensor, nn


class SoftSpike(nn.Module):
    """1/2 + v / (1 + slope |v|): a smooth step of which ``HardSpike`` borrows the gradient.

    With slope 2 it rises from 0 to 1. A neuron with this in place of the step is differentiable.
    """

    def __init__(self, slope: float = 2.0):
        super().__init__()
        if not 0 < slope < math.inf:
            raise ValueError(f"slope must be positive and finite, got {slope}")
        self.slope = slope

    def forward(self, v: Tensor) -> Tensor:
        """Potential above the threshold -> a number near 0 or 1, same shape."""
        return 0.5 + v / (1 + self.slope * v.abs())


class _Heaviside(torch.autograd.Function):
    """The step, with the gradient 1 / (1 + slope |v|)^2 of the smooth one."""

    @staticmethod
    def forward(v: Tensor, slope: float) -> Tensor:
        return (v > 0).to(v.dtype)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, float], output: Tensor) -> None:
        v, ctx.slope = inputs
        ctx.save_for_backward(v)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        return grad / (1 + ctx.slope * v.abs()).square(), None


class HardSpike(SoftSpike):
    """1 where v > 0, else 0; backwards the derivative of ``SoftSpike(slope)``."""

    def forward(self, v: Tensor) -> Tensor:
        """Potential above the threshold -> 0 or 1, same shape."""
        return _Heaviside.apply(v, self.slope)


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons: u_t = leak u_{t-1} (1 - s_{t-1}) + i_t, s_t = [u_t > 1].

    A neuron that fires starts again from zero. Nothing is remembered between calls.

    Examples
    --------
    >>> current = torch.full((30, 1, 1), 0.15)  # 30 steps, one example, one neuron
    >>> LIF(leak=0.9)(current).flatten().nonzero().flatten() + 1  # the steps at which it fires
    tensor([11, 22])
    >>> firing_period(0.15, leak=0.9)
    11
    """

    def __init__(self, leak: float = 0.9, threshold: float = 1.0, spike: nn.Module | None = None):
        super().__init__()
        if not 0 < leak < 1:
            raise ValueError(f"leak must lie between 0 and 1, got {leak}")
        if not 0 < threshold < math.inf:
            raise ValueError(f"threshold must be positive and finite, got {threshold}")
        self.leak, self.threshold = leak, threshold
        self.spike = HardSpike() if spike is None else spike

    def trace(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """Current (T, B, n) -> potentials before the reset, and spikes, (T, B, n) each."""
        u = s = torch.zeros_like(current[0])
        potentials, spikes = [], []
        for i in current.unbind():
            u = torch.addcmul(i, u, 1 - s, value=self.leak)  # i + leak * u * (1 - s)
            s = self.spike(u - self.threshold)
            potentials.append(u)
            spikes.append(s)
        return torch.stack(potentials), torch.stack(spikes)

    def forward(self, current: Tensor) -> Tensor:
        """Current (T, B, n) -> spikes (T, B, n), 0 or 1."""
        return self.trace(current)[1]


def firing_period(current: float, leak: float = 0.9, threshold: float = 1.0) -> float:
    """Steps between two spikes of a `LIF` under a constant current, exact; inf if it never fires.

    Without a spike u_n = current (1 - leak^n) / (1 - leak), which passes the threshold first at
    n = floor(log(1 - threshold (1 - leak) / current) / log leak) + 1, if it ever does. A neuron
    that stands at the threshold itself does not fire.
    """
    if current <= threshold * (1 - leak):
        return math.inf
    return math.floor(math.log(1 - threshold * (1 - leak) / current) / math.log(leak)) + 1


class LeakyReadout(nn.Module):
    """Neurons that never fire: v_t, a running mean of the current with weights leak^(t - s)."""

    def __init__(self, leak: float = 0.95):
        super().__init__()
        if not 0 < leak < 1:
            raise ValueError(f"leak must be more than 0 and less than 1, got {leak}")
        self.leak = leak

    def forward(self, current: Tensor) -> Tensor:
        """Current (T, B, n) -> the mean up to every step, (T, B, n)."""
        total, weight, means = torch.zeros_like(current[0]), 0.0, []
        for i in current.unbind():
            total, weight = self.leak * total + i, self.leak * weight + 1
            means.append(total / weight)
        return torch.stack(means)


class ExampleActivity(nn.Module):
    """weight * (share of the units and steps that fire)^2 for each example: against bursting."""

    def __init__(self, weight: float = 1.0):
        super().__init__()
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, got {weight}")
        self.weight = weight

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes (T, B, n) -> (B,)."""
        return self.weight * spikes.mean((0, 2)).square()


class NeuronActivity(nn.Module):
    """weight * sum over neurons of the squared distance of the rate from the band low..high.

    The rate of a neuron is its mean over steps and batch: below the band it is dying, above it is
    bursting. The penalty is the same for all examples.

    Note: the paper penalises squared activity, an upper bound, and nudges silent neurons awake.
    """

    def __init__(self, weight: float = 1.0, low: float = 0.05, high: float = 0.3):
        super().__init__()
        if not 0 <= low < high <= 1:
            raise ValueError(f"low and high must be 0 <= low < high <= 1, got {low} and {high}")
        if not 0 <= weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, got {weight}")
        self.weight, self.low, self.high = weight, low, high

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes (T, B, n) -> (B,), all equal."""
        rate = spikes.mean((0, 1))  # (n,)
        outside = (self.low - rate).relu() + (rate - self.high).relu()
        return self.weight * outside.square().sum().expand(spikes.shape[1])


class SpikingAutoencoder(nn.Module):
    """The rows flow in as constant currents for ``steps`` steps; a leaky readout gives them back.

    Parameters
    ----------
    data : Levels or Reals (support.py)
        What x is. Pixels go to 0..1, so that a loss is in units of the full grey range.
    encoder : nn.Sequential
        Linear layers and `LIF` in turn, ending in a `LIF`: its spikes are the code.
    decoder : nn.Sequential
        The same, ending in a `LeakyReadout`.
    steps : int
        Length T of a spike train.
    penalties : tuple of nn.Module
        Spikes (T, B, n) -> (B,), applied to every spiking layer.

    Own methods: ``spikes``, ``code``, ``encode``, ``decode``.

    Examples
    --------
    >>> from dgm.distribution.support import Levels
    >>> encoder = nn.Sequential(nn.Linear(4, 6), LIF())
    >>> decoder = nn.Sequential(nn.Linear(6, 4), LeakyReadout())
    >>> model = SpikingAutoencoder(Levels((1, 2, 2), 17), encoder, decoder, steps=10)
    >>> model.code(torch.randint(17, (5, 1, 2, 2))).shape  # spike trains
    torch.Size([10, 5, 6])
    """

    def __init__(
        self,
        data: object,
        encoder: nn.Sequential,
        decoder: nn.Sequential,
        steps: int = 20,
        penalties: tuple[nn.Module, ...] = (),
    ):
        super().__init__()
        self.data, self.steps = data, data.count(steps, "steps", least=1)
        self.encoder, self.decoder = encoder, decoder
        self.penalties = nn.ModuleList(penalties)

    def _rows(self, x: Tensor) -> Tensor:
        """Checked x (B, *shape) -> rows (B, D), pixels in 0..1."""
        dtype = next(self.parameters(), torch.empty(0)).dtype
        return self.data.rows(x, dtype, trusted=self.training)

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Rows (B, D), what is read out of them (B, D), and the spikes of every spiking layer."""
        rows = self._rows(x)
        h, trains = rows.expand(self.steps, -1, -1), []  # (T, B, D), a constant current
        for layer in (*self.encoder, *self.decoder):
            h = layer(h)
            trains += [h] if isinstance(layer, LIF) else []
        return rows, h[-1], trains

    def spikes(self, x: Tensor) -> list[Tensor]:
        """Spikes (T, B, n) of every spiking layer, from the encoder's first to the decoder's."""
        return self._run(x)[2]

    def code(self, x: Tensor) -> Tensor:
        """x as stored (B, *shape) -> the spike trains (T, B, d) that the decoder hears."""
        return self.encoder(self._rows(x).expand(self.steps, -1, -1))

    def encode(self, x: Tensor) -> Tensor:
        """x as stored (B, *shape) -> rates of the code (B, d), multiples of 1/T."""
        return self.code(x).mean(0)

    def decode(self, code: Tensor) -> Tensor:
        """Spike trains (T, B, d) of the code -> (B, *shape) floats on the scale of the data."""
        rows = self.decoder(self.data.finite(code, "code"))[-1].unflatten(1, self.data.shape)
        return self.data.unscaled(rows, 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction (B, *shape), floats on the scale of the data."""
        return self.decode(self.code(x))

    def terms(self, x: Tensor) -> dict[str, Tensor]:
        """The squared error and the price of the activity, (B,) each."""
        rows, out, trains = self._run(x)
        price = rows.new_zeros(len(rows))
        for penalty in self.penalties:
            price = price + sum(penalty(spikes) for spikes in trains)
        return {"reconstruction": (out - rows).square().sum(1), "activity": price}

    def loss(self, x: Tensor) -> Tensor:
        """Squared error of the rows plus the price of activity, (B,). It has no unit of nats."""
        return sum(self.terms(x).values())
