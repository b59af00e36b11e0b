"""Models as readers write them: plain PyTorch, no part of dgm, right and wrong ones.

A `Reader` builds a model, a batch and the keyword arguments of `audit` for a size. A wrong one has
one line changed. What the audit may say is in `RIGHT` (no false alarm, what must be decided) and in
`WRONG` (a failure, or a headline that says what is not decided).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Categorical, MultivariateNormal, Normal


@dataclass(frozen=True)
class Reader:
    """`build(size) -> (model, x, keywords of audit)`; `decided`: what the headline must say."""

    name: str
    build: Callable
    sizes: tuple[int, ...]
    decided: tuple[str, ...] = ()
    caught_by: tuple[str, ...] = field(default=())


RIGHT: list[Reader] = []
WRONG: list[Reader] = []


def right(*sizes: int, decided: str = ""):
    """Register a right model for these sizes."""

    def register(build):
        RIGHT.append(Reader(build.__name__, build, sizes, tuple(decided.split())))
        return build

    return register


def wrong(*sizes: int, caught_by: str = ""):
    """Register a wrong model, with the line that must fail (empty: any, or "not decided")."""

    def register(build):
        caught = tuple(filter(None, caught_by.split("; ")))
        WRONG.append(Reader(build.__name__, build, sizes, (), caught))
        return build

    return register


LEAK, DET = "no leak from the future", "log_det = autograd"
LAW, ONE = "samples follow the density", "sums or integrates to one"
STEIN, GIBBS = "samples obey Stein's identity", "samples obey the Gibbs identity"
COND, SUM = "samples follow the conditionals", "exp(elbo) sums to one"
CHAIN, LOGMEAN = "log_prob = sum of conditionals", "iw_bound = log mean of k weights"


# --- Bernoulli VAE with the analytic KL -----------------------------------------------------------


class BernoulliVAE(nn.Module):
    kl_sign = 1.0

    def __init__(self, d, h=32, z=2):
        super().__init__()
        self.fc1, self.mu, self.logvar = nn.Linear(d, h), nn.Linear(h, z), nn.Linear(h, z)
        self.fc2, self.fc3, self.z = nn.Linear(z, h), nn.Linear(h, d), z

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.mu(h), self.logvar(h)

    def decode(self, z):
        return self.fc3(F.relu(self.fc2(z)))

    def elbo(self, x):
        x = x.float()
        mu, logvar = self.encode(x)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        rec = -F.binary_cross_entropy_with_logits(self.decode(z), x, reduction="none").sum(1)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1)
        return rec - self.kl_sign * kl

    def log_weight(self, x):
        mu, logvar = self.encode(x)
        q = Normal(mu, torch.exp(0.5 * logvar))
        z = q.rsample()
        log_p = Normal(0.0, 1.0).log_prob(z).sum(1)
        log_x = -F.binary_cross_entropy_with_logits(self.decode(z), x, reduction="none").sum(1)
        return log_x + log_p - q.log_prob(z).sum(1)

    def iw_bound(self, x, k):
        w = torch.stack([self.log_weight(x.float()) for _ in range(k)])
        return torch.logsumexp(w, 0) - math.log(k)

    def loss(self, x):
        return -self.elbo(x).mean()

    @torch.no_grad()
    def sample(self, n):
        return torch.bernoulli(torch.sigmoid(self.decode(torch.randn(n, self.z))))


def bits(d, n=16):
    return (torch.rand(n, d) < 0.3).float()


@right(6, 784)
def bernoulli_vae(d):
    return BernoulliVAE(d), bits(d), {}


class KLAdded(BernoulliVAE):
    kl_sign = -1.0
    iw_bound = None


@wrong(2, 6, 64)
def bernoulli_vae_with_the_kl_added(d):
    model = KLAdded(d)
    model.logvar.bias.data -= 2.0
    return model, bits(d), {}


class NoLogK(BernoulliVAE):
    def iw_bound(self, x, k):
        return super().iw_bound(x, k) + math.log(k)


@wrong(6, caught_by=LOGMEAN)
def iw_bound_without_log_k(d):
    return NoLogK(d), bits(d), {}


class GaussianVAE(nn.Module):
    """Of reals, with the analytic KL and a learned noise."""

    kl_sign = 1.0

    def __init__(self, d, z=2):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Linear(32, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, 32), nn.ReLU(), nn.Linear(32, d))
        self.log_sigma, self.z = nn.Parameter(torch.zeros(d)), z

    def elbo(self, x):
        mu, logvar = self.enc(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (logvar / 2).exp()
        log_x = Normal(self.dec(z), self.log_sigma.exp()).log_prob(x).sum(1)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
        return log_x - self.kl_sign * kl

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, 1)
        return self.dec(mu), mu, logvar

    def sample(self, n):
        with torch.no_grad():
            return Normal(self.dec(torch.randn(n, self.z)), self.log_sigma.exp()).sample()


@right(2, 6, 64)
def gaussian_vae(d):
    return GaussianVAE(d), torch.randn(16, d), {}


class GaussianKLAdded(GaussianVAE):
    kl_sign = -1.0


@wrong(2, 6)
def gaussian_vae_with_the_kl_added(d):
    model = GaussianKLAdded(d)
    model.enc[2].bias.data[2:] -= 2.0
    return model, torch.randn(16, d), {}


# --- MADE with masks in linear layers -------------------------------------------------------------


class MaskedLinear(nn.Linear):
    def __init__(self, i, o, mask):
        super().__init__(i, o)
        self.register_buffer("mask", mask.float())

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    strict, backwards = True, False

    def __init__(self, d, h=64, permuted=False):
        super().__init__()
        order = torch.randperm(d) if permuted else torch.arange(d)
        m = torch.arange(h) % max(d - 1, 1)
        last = m[None, :] < order[:, None] if self.strict else m[None, :] <= order[:, None]
        self.l1 = MaskedLinear(d, h, order[None, :] <= m[:, None])
        self.l2 = MaskedLinear(h, d, last)
        self.d, self.inputs = d, order.argsort().tolist()

    def forward(self, x):
        return self.l2(F.relu(self.l1(x)))

    def log_prob(self, x):
        x = x.float()
        return -F.binary_cross_entropy_with_logits(self(x), x, reduction="none").sum(1)

    def loss(self, x):
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n):
        x = torch.zeros(n, self.d)
        for i in reversed(self.inputs) if self.backwards else self.inputs:
            x[:, i] = torch.bernoulli(torch.sigmoid(self(x)[:, i]))
        return x


def ints(d, n=16, levels=2):
    return torch.randint(levels, (n, d))


@right(2, 9, 64, 784, decided="density causality gradients")
def made(d):
    return MADE(d), ints(d), {}


@right(9, decided="density causality")
def made_in_its_own_order(d):
    return MADE(d, permuted=True), ints(d), {}


class NotStrict(MADE):
    strict = False


@wrong(9, 64, 784, caught_by=LEAK)
def made_that_sees_itself(d):
    return NotStrict(d), ints(d), {}


class Backwards(MADE):
    backwards = True


def louder(model, by=3.0):
    """Weights so large that the variables depend on one another."""
    for p in model.parameters():
        p.data *= by
    return model


@wrong(100, caught_by=COND)
def made_drawn_backwards(d):
    return louder(Backwards(d)), ints(d), {}


class HiddenMADE(nn.Module):
    """Only log_prob and sample."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def log_prob(self, x):
        return self.net.log_prob(x)

    def sample(self, n):
        return self.net.sample(n).long()


@right(40)
def made_with_log_prob_and_sample_only(d):
    return HiddenMADE(louder(MADE(d))), ints(d), {"levels": 2}


@wrong(100, caught_by=GIBBS)
def hidden_made_drawn_backwards(d):
    return HiddenMADE(louder(Backwards(d))), ints(d), {"levels": 2}


# --- flows ----------------------------------------------------------------------------------------


class Planar(nn.Module):
    """forward -> (z, log_det), no inverse."""

    sign = 1.0

    def __init__(self, d, k=4):
        super().__init__()
        self.u, self.w = (
            nn.Parameter(torch.randn(k, d) * 0.3),
            nn.Parameter(torch.randn(k, d) * 0.3),
        )
        self.b = nn.Parameter(torch.zeros(k))

    def forward(self, x):
        log_det = torch.zeros(len(x))
        for u, w, b in zip(self.u, self.w, self.b, strict=True):
            uw = u @ w
            u = u + (-1 + F.softplus(uw) - uw) * w / (w @ w)
            t = torch.tanh(x @ w + b)
            log_det = log_det + torch.log1p((1 - t**2) * (u @ w))
            x = x + u * t[:, None]
        return x, self.sign * log_det

    def log_prob(self, x):
        z, log_det = self(x)
        return Normal(0.0, 1.0).log_prob(z).sum(1) + log_det


@right(2, 6, 16, decided="log-determinant gradients")
def planar_flow(d):
    return Planar(d), torch.randn(16, d), {}


class PlanarSign(Planar):
    sign = -1.0


@wrong(2, 6, 64, caught_by=DET)
def planar_flow_with_the_wrong_sign(d):
    return PlanarSign(d), torch.randn(16, d), {}


class RealNVP(nn.Module):
    """In one class, with masks."""

    sign, temperature, counts = 1.0, 1.0, 1.0

    def __init__(self, d, k=4, h=32):
        super().__init__()
        self.register_buffer(
            "mask", torch.stack([(torch.arange(d) + i) % 2 for i in range(k)]).float()
        )
        make = lambda: nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.Linear(h, d))  # noqa: E731
        self.s, self.t = (nn.ModuleList(make() for _ in range(k)) for _ in range(2))
        self.d = d

    def f(self, x):
        log_det = x.new_zeros(len(x))
        for m, s, t in zip(self.mask, self.s, self.t, strict=True):
            scale = torch.tanh(s(x * m)) * (1 - m)
            x = m * x + (1 - m) * (x * scale.exp() + t(x * m))
            log_det = log_det + scale.sum(1)
        return x, log_det

    def log_prob(self, x):
        z, log_det = self.f(x)
        base = Normal(torch.zeros(1, device=x.device), torch.ones(1, device=x.device))
        return base.log_prob(z).sum(1) + self.sign * self.counts * log_det

    def loss(self, x):
        return -self.log_prob(x).mean()

    @torch.no_grad()
    def sample(self, n):
        x = torch.randn(n, self.d) * self.temperature
        for m, s, t in reversed(list(zip(self.mask, self.s, self.t, strict=True))):
            scale = torch.tanh(s(x * m)) * (1 - m)
            x = m * x + (1 - m) * (x - t(x * m)) * (-scale).exp()
        return x


@right(2, 10, 32, 64, decided="samples gradients")
def realnvp(d):
    return RealNVP(d), torch.randn(16, d), {}


@right(784, decided="gradients")
def realnvp_784(d):
    return RealNVP(d), torch.randn(16, d), {}


class LogDetForgotten(RealNVP):
    counts = 0.0


@wrong(2, 10, 64, caught_by=LAW)
def realnvp_without_its_log_det(d):
    return LogDetForgotten(d), torch.randn(16, d), {}


class Tempered(RealNVP):
    temperature = 0.7


@wrong(10, 64, 784, caught_by=STEIN)
def realnvp_drawn_with_a_temperature(d):
    return Tempered(d), torch.randn(16, d), {}


class TwoWay(RealNVP):
    """With forward and inverse."""

    def forward(self, x):
        return self.f(x)

    def inverse(self, z):
        for m, s, t in reversed(list(zip(self.mask, self.s, self.t, strict=True))):
            scale = torch.tanh(s(z * m)) * (1 - m)
            z = m * z + (1 - m) * (z - t(z * m)) * (-scale).exp()
        return z


class SignInLogProb(TwoWay):
    sign = -1.0


@right(8, 32, decided="density samples log-determinant")
def realnvp_both_ways(d):
    return TwoWay(d), torch.randn(16, d), {}


@wrong(2, 8, 16, 32)
def wrong_sign_in_log_prob_alone(d):
    return SignInLogProb(d), torch.randn(16, d), {}


# --- PixelCNN with a 256-way softmax --------------------------------------------------------------


class MaskedConv(nn.Conv2d):
    def __init__(self, kind, *args, **kwargs):
        super().__init__(*args, **kwargs)
        k = self.kernel_size[0]
        mask = torch.ones(k, k)
        mask[k // 2, k // 2 + (kind == "B") :] = 0
        mask[k // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(nn.Module):
    first = "A"

    def __init__(self, side, levels=256, width=16):
        super().__init__()
        self.side, self.levels = side, levels
        self.net = nn.Sequential(
            MaskedConv(self.first, 1, width, 5, padding=2),
            nn.ReLU(),
            MaskedConv("B", width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, levels, 1),
        )

    def forward(self, x):  # (B, 1, H, W) integers -> (B, 256, H, W)
        return self.net(x.float() / (self.levels - 1))

    def log_prob(self, x):
        return -F.cross_entropy(self(x), x[:, 0].long(), reduction="none").sum((1, 2))

    def loss(self, x):
        return F.cross_entropy(self(x), x[:, 0].long())

    @torch.no_grad()
    def sample(self, n):
        x = torch.zeros(n, 1, self.side, self.side, dtype=torch.long)
        for i in range(self.side):
            for j in range(self.side):
                x[:, 0, i, j] = torch.multinomial(F.softmax(self(x)[:, :, i, j], 1), 1)[:, 0]
        return x


def pictures(side, levels=256, n=8):
    return torch.randint(levels, (n, 1, side, side))


@right(4, 12, 28, decided="density causality gradients")
def pixelcnn(side):
    return PixelCNN(side), pictures(side), {"levels": 256}


class SeesItself(PixelCNN):
    first = "B"


@wrong(4, 28, caught_by=LEAK)
def pixelcnn_that_sees_itself(side):
    return SeesItself(side), pictures(side), {"levels": 256}


@wrong(12)
def hidden_pixelcnn_that_sees_itself(side):
    """Only log_prob and sample, two levels; as training would, it looks at itself most."""
    model = louder(SeesItself(side, 2))
    model.net[0].weight.data[:, :, 2, 2] *= 6
    return HiddenMADE(model), pictures(side, 2), {"levels": 2}


# --- others with log_prob and sample only ---------------------------------------------------------


class HMM(nn.Module):
    """Of tokens, by the forward algorithm."""

    transposed = False

    def __init__(self, steps, states=4, levels=5):
        super().__init__()
        self.start = nn.Parameter(torch.randn(states))
        self.move = nn.Parameter(2 * torch.randn(states, states))
        self.emit = nn.Parameter(2 * torch.randn(states, levels))
        self.steps = steps

    def log_prob(self, x):
        move, emit = self.move.log_softmax(1), self.emit.log_softmax(1)
        a = self.start.log_softmax(0) + emit[:, x[:, 0]].T
        for t in range(1, self.steps):
            a = torch.logsumexp(a[:, :, None] + move, 1) + emit[:, x[:, t]].T
        return torch.logsumexp(a, 1)

    @torch.no_grad()
    def sample(self, n):
        move = self.move.softmax(1)
        h, x = Categorical(logits=self.start).sample((n,)), []
        for _ in range(self.steps):
            x.append(Categorical(logits=self.emit[h]).sample())
            h = Categorical(probs=(move.T if self.transposed else move)[h]).sample()
        return torch.stack(x, 1)


@right(4, 40)
def hmm(steps):
    return HMM(steps), ints(steps, levels=5), {"levels": 5}


class Transposed(HMM):
    transposed = True


@wrong(4, 40)
def hmm_with_transitions_transposed(steps):
    return Transposed(steps), ints(steps, levels=5), {"levels": 5}


class Mixture(nn.Module):
    """Of full Gaussians; the normaliser is left out where `whole` is False."""

    whole = True

    def __init__(self, d, k=3):
        super().__init__()
        self.logits, self.mean = nn.Parameter(torch.zeros(k)), nn.Parameter(2 * torch.randn(k, d))
        self.tril = nn.Parameter(torch.eye(d).expand(k, d, d) + 0.2 * torch.randn(k, d, d).tril())

    def factor(self):
        return self.tril.tril(-1) + torch.diag_embed(F.softplus(self.tril.diagonal(dim1=1, dim2=2)))

    def log_prob(self, x):
        law = MultivariateNormal(self.mean, scale_tril=self.factor(), validate_args=False)
        log_p = law.log_prob(x[:, None])
        if not self.whole:
            log_p = log_p + 0.5 * x.shape[1] * math.log(2 * math.pi)
        return torch.logsumexp(log_p + self.logits.log_softmax(0), 1)

    def sample(self, n):
        k = Categorical(logits=self.logits).sample((n,))
        return MultivariateNormal(self.mean[k], scale_tril=self.factor()[k]).sample()


@right(2, 20, decided="density samples")
def gaussian_mixture(d):
    return Mixture(d), torch.randn(16, d), {}


class NotWhole(Mixture):
    whole = False


@wrong(2, 20)
def gaussian_mixture_without_its_normaliser(d):
    return NotWhole(d), torch.randn(16, d), {}


class Bits(nn.Module):
    """Independent bits: the parameters are all there is."""

    def __init__(self, d):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(d))

    def log_prob(self, x):
        return Bernoulli(logits=self.logits).log_prob(x.to(self.logits)).sum(1)

    def sample(self, n):
        return Bernoulli(logits=self.logits).sample((n,)).long()


@right(4, 784)
def independent_bits(d):
    return Bits(d), ints(d), {}


# --- a dequantised flow: a bound on integers ------------------------------------------------------


class DequantisedFlow(nn.Module):
    """log p(x) of integers bounded by the density of (x + u) / levels, after a logit."""

    jacobian = 1.0

    def __init__(self, d, levels=4):
        super().__init__()
        self.flow, self.levels, self.d = RealNVP(d), levels, d

    def elbo(self, x):
        y = (x + torch.rand(x.shape)) / self.levels * 0.98 + 0.01
        z = torch.log(y) - torch.log1p(-y)
        log_det = (-torch.log(y) - torch.log1p(-y)).sum(1) + self.d * math.log(0.98)
        scale = self.jacobian * self.d * math.log(self.levels)
        return self.flow.log_prob(z) + log_det - scale

    def loss(self, x):
        return -self.elbo(x).mean()

    @torch.no_grad()
    def sample(self, n):
        y = (torch.sigmoid(self.flow.sample(n)) - 0.01) / 0.98
        return (y * self.levels).floor().clamp(0, self.levels - 1).long()


@right(2, 5, 64)
def dequantised_flow(d):
    return DequantisedFlow(d), ints(d, levels=4), {"levels": 4}


class NoLevels(DequantisedFlow):
    jacobian = 0.0


@wrong(2, 5)
def dequantised_flow_without_log_levels(d):
    return NoLevels(d), ints(d, levels=4), {"levels": 4}


# --- only a loss ----------------------------------------------------------------------------------


class DDPM(nn.Module):
    """Predicts noise; the loss is its mean square, a single number."""

    def __init__(self, d, steps=100):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d + 1, 64), nn.SiLU(), nn.Linear(64, d))
        beta = torch.linspace(1e-4, 0.02, steps)
        self.register_buffer("beta", beta)
        self.register_buffer("abar", torch.cumprod(1 - beta, 0))
        self.steps, self.d = steps, d

    def forward(self, x, t):
        return self.net(torch.cat((x, t[:, None].to(x) / self.steps), 1))

    def loss(self, x):
        t = torch.randint(self.steps, (len(x),))
        a, eps = self.abar[t][:, None], torch.randn_like(x)
        return F.mse_loss(self(a.sqrt() * x + (1 - a).sqrt() * eps, t), eps)

    @torch.no_grad()
    def sample(self, n):
        x = torch.randn(n, self.d)
        for t in reversed(range(self.steps)):
            b, a = self.beta[t], self.abar[t]
            eps = self(x, torch.full((n,), t))
            x = (x - b / (1 - a).sqrt() * eps) / (1 - b).sqrt()
            x = x + b.sqrt() * torch.randn_like(x) * (t > 0)
        return x


@right(2, 784, decided="gradients")
def ddpm(d):
    return DDPM(d), torch.randn(16, d), {}


class DeadLayer(DDPM):
    def __init__(self, d):
        super().__init__(d)
        self.time = nn.Linear(1, 8)


@wrong(2, caught_by="every parameter gets a gradient")
def ddpm_whose_time_is_not_used(d):
    return DeadLayer(d), torch.randn(16, d), {}


class Autoencoder(nn.Module):
    """A code: reconstructs, and claims no probability."""

    def __init__(self, d, z=2):
        super().__init__()
        self.enc, self.dec = nn.Linear(d, z), nn.Linear(z, d)

    def forward(self, x):
        return self.dec(torch.relu(self.enc(x)))

    def loss(self, x):
        return F.mse_loss(self(x), x)


@right(10, 784, decided="gradients")
def autoencoder(d):
    return Autoencoder(d), torch.randn(16, d), {}


class ScoredAutoencoder(Autoencoder):
    """Says that its reconstruction loss is a log-probability."""

    def log_prob(self, x):
        return Bernoulli(logits=self(x.to(self.enc.weight))).log_prob(x.to(self.enc.weight)).sum(1)

    loss = lambda self, x: -self.log_prob(x)  # noqa: E731


@wrong(10, 784)
def autoencoder_that_calls_its_loss_a_log_prob(d):
    return ScoredAutoencoder(d), ints(d), {}
