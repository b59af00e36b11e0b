"""Autoregressive models, healthy and with planted faults: small ones, each in a few lines."""

import torch
from planted import CHAIN, COND, EVAL, FLOAT, LAW, LEAK, ONE, STATE, healthy, planted, table
from torch import nn
from torch.nn.functional import one_hot, pad

# --- the chain rule, and networks for it ----------------------------------------------------------


class Chain(nn.Module):
    """Levels in any order: `net` maps one-hot rows (B, D, levels) to logits, causally."""

    def __init__(self, net, shape, levels, order=None):
        super().__init__()
        self.net, self.shape, self.levels = net, shape, levels
        n = torch.Size(shape).numel()
        self.register_buffer("order", torch.arange(n) if order is None else torch.tensor(order))

    def logits(self, v):
        return self.net(one_hot(v, self.levels).to(next(self.parameters()).dtype))

    def conditionals(self, x):
        v = x.flatten(1)[:, self.order].long()
        return self.logits(v).log_softmax(-1).gather(2, v[..., None])[..., 0]

    def forward(self, x):
        logits = self.logits(x.flatten(1)[:, self.order].long())
        return logits[:, self.order.argsort()].view(*x.shape, self.levels)

    def log_prob(self, x):
        return self.conditionals(x).sum(1)

    def loss(self, x):
        return -self.log_prob(x)

    def draw(self, logits):
        return torch.multinomial(logits.softmax(-1), 1)[:, 0]

    def times(self):
        return range(len(self.order))

    @torch.no_grad()
    def sample(self, n):
        v = torch.zeros(n, len(self.order), dtype=torch.long)
        for t in self.times():
            v[:, t] = self.draw(self.logits(v)[:, t])
        return self.stored(v)

    def stored(self, v):
        x = v[:, self.order.argsort()].view(len(v), *self.shape)
        return x.to(torch.uint8) if len(self.shape) > 1 else x


class Masked(nn.Module):
    """MADE: a hidden layer whose units may see the first so many variables."""

    first, last = torch.ge, torch.gt

    def __init__(self, size, levels, width=16):
        super().__init__()
        self.a, self.b = nn.Linear(size * levels, width), nn.Linear(width, size * levels)
        unit = torch.arange(width)[:, None] % max(size - 1, 1) + 1
        variable = torch.arange(1, size + 1).repeat_interleave(levels)
        self.keep("mask_a", type(self).first(unit, variable))
        self.keep("mask_b", type(self).last(variable[:, None], unit.T))

    def keep(self, name, mask):
        self.register_buffer(name, mask.double())

    def forward(self, h):
        a = nn.functional.linear(h.flatten(1), self.a.weight * self.mask_a, self.a.bias)
        b = nn.functional.linear(a.tanh(), self.b.weight * self.mask_b, self.b.bias)
        return b.view(h.shape)


class Recurrent(nn.Module):
    """A GRU over the rows before; a row of ones, which no level has, stands before the first."""

    def __init__(self, levels, width=12):
        super().__init__()
        self.cell, self.head = nn.GRU(levels, width, batch_first=True), nn.Linear(width, levels)

    def before(self, h):
        return pad(h, (0, 0, 1, 0), value=1.0)[:, :-1]

    def forward(self, h):
        return self.head(self.cell(self.before(h))[0])

    def step(self, row, state):
        out, state = self.cell(row[:, None], state)
        return self.head(out[:, 0]), state


class Dilated(nn.Module):
    """Two causal convolutions in time over the rows before."""

    sides = (1, 0), (2, 0)

    def __init__(self, levels, width=12):
        super().__init__()
        self.a, self.b = nn.Conv1d(levels, width, 2), nn.Conv1d(width, levels, 2, dilation=2)

    def before(self, h):
        return pad(h, (1, -1))

    def forward(self, h):
        h = self.a(pad(self.before(h.mT), self.sides[0])).tanh()
        return self.b(pad(h, self.sides[1])).mT


class Series(nn.Module):
    """Real values in time: a Gaussian whose mean and log-scale see the two values before."""

    def __init__(self, length):
        super().__init__()
        self.shape = (length,)
        self.net = nn.Sequential(nn.Conv1d(1, 8, 2), nn.Tanh(), nn.Conv1d(8, 2, 1))

    def forward(self, x):
        return self.net(pad(x[:, None], (2, 0))[:, :, :-1]).mT

    def law(self, x):
        mean, s = self(x).unbind(-1)
        return torch.distributions.Normal(mean, s.tanh().exp(), validate_args=False)

    def log_prob(self, x):
        return self.law(x).log_prob(x).sum(1)

    def loss(self, x):
        return -self.log_prob(x)

    @torch.no_grad()
    def sample(self, n):
        x = torch.zeros(n, *self.shape, dtype=next(self.parameters()).dtype)
        for t in range(self.shape[0]):
            x[:, t] = self.law(x).sample()[:, t]
        return x


def tokens(length=4, levels=3):
    return torch.randint(levels, (12, length))


def pixels(side=2, levels=3):
    return torch.randint(levels, (8, 1, side, side), dtype=torch.uint8)


def made(kind=Masked, model=Chain, order=(2, 0, 3, 1)):
    return model(kind(4, 3), (4,), 3, order), tokens(), {}


# --- healthy models -------------------------------------------------------------------------------


@healthy
def made_in_another_order():
    return made()


@healthy
def made_on_images():
    return Chain(Masked(4, 3), (1, 2, 2), 3, (3, 1, 2, 0)), pixels(), {}


@healthy
def dilated_convolutions():
    return Chain(Dilated(3), (5,), 3), tokens(5), {}


class Cached(Chain):
    """The network's state is kept from step to step."""

    def start(self, n):
        row = torch.ones(n, self.levels, dtype=next(self.parameters()).dtype)
        return row, None

    def follow(self, v, t, state):
        return one_hot(v[:, t], self.levels).to(next(self.parameters()).dtype), state

    @torch.no_grad()
    def sample(self, n):
        v = torch.zeros(n, len(self.order), dtype=torch.long)
        row, state = self.start(n)
        for t in range(len(self.order)):
            logits, state = self.net.step(row, state)
            v[:, t] = self.draw(logits)
            row, state = self.follow(v, t, state)
        return self.stored(v)


def recurrent(model=Cached):
    """With weights so large that the past matters."""
    chain = model(Recurrent(3), (5,), 3)
    for p in chain.parameters():
        p.data *= 3
    return chain, tokens(5), {}


@healthy
def recurrent_with_a_cache():
    return recurrent()


@healthy
def series_of_two():
    return Series(2), table(2), {}


@healthy
def series_of_five():
    return Series(5), table(5), {}


@healthy
def series_of_twelve():
    return Series(12), table(12), {}


class OfClass(Chain):
    """One of two classes moves all logits."""

    def __init__(self, *args):
        super().__init__(*args)
        self.of_class = nn.Parameter(torch.randn(2, self.levels))

    def forward(self, x, y):
        return super().forward(x) + self.of_class[y].view(-1, *[1] * len(self.shape), self.levels)

    def log_prob(self, x, y):
        return self(x, y).log_softmax(-1).gather(-1, x.long()[..., None]).flatten(1).sum(1)

    def loss(self, x, y):
        return -self.log_prob(x, y)

    @torch.no_grad()
    def sample(self, n, y):
        v = torch.zeros(n, len(self.order), dtype=torch.long)
        for t in self.times():
            v[:, t] = self.draw(self.logits(v)[:, t] + self.of_class[y])
        return self.stored(v)


# --- planted faults: networks ---------------------------------------------------------------------


class NotStrict(Masked):
    last = torch.ge


class StrictTwice(Masked):
    first = torch.gt


@planted(LEAK, ONE)
def outputs_of_made_not_strict():
    return made(NotStrict)


@healthy
def made_strict_twice():
    """Sees less than it may, which is no fault."""
    return made(StrictTwice)


class PlainMask(Masked):
    def keep(self, name, mask):
        setattr(self, name, mask.double())


@planted(STATE, FLOAT)
def masks_as_plain_attributes():
    return made(PlainMask)


class NotShifted(Dilated):
    def before(self, h):
        return h


@planted(LEAK, ONE)
def shift_missing():
    return Chain(NotShifted(3), (5,), 3), tokens(5), {}


class RecurrentNotShifted(Recurrent):
    def before(self, h):
        return h


@planted(LEAK, ONE)
def shift_missing_in_a_recurrent_network():
    return Chain(RecurrentNotShifted(3), (5,), 3), tokens(5), {}


class PaddedOnTheRight(Dilated):
    sides = (0, 1), (0, 2)


class PaddedOnBothSides(Dilated):
    sides = (1, 0), (1, 1)


@planted(LEAK, ONE)
def padding_on_the_wrong_side():
    return Chain(PaddedOnTheRight(3), (5,), 3), tokens(5), {}


@planted(LEAK, ONE)
def padding_on_both_sides():
    return Chain(PaddedOnBothSides(3), (5,), 3), tokens(5), {}


class LooksAhead(Series):
    def forward(self, x):
        return self.net(pad(x[:, None], (1, 0))).mT


@planted(LEAK, ONE)
def series_sees_itself():
    return LooksAhead(2), table(2), {}


@planted(LEAK)
def series_of_twelve_sees_itself():
    return LooksAhead(12), table(12), {}


# --- planted faults: the model --------------------------------------------------------------------


class OtherOrder(Chain):
    def __init__(self, *args):
        super().__init__(*args)
        self.register_buffer("own", self.order.clone())
        self.order = torch.arange(len(self.own))

    def conditionals(self, x):
        v = x.flatten(1)[:, self.own].long()
        return self.logits(v).log_softmax(-1).gather(2, v[..., None])[..., 0]

    def forward(self, x):
        logits = self.logits(x.flatten(1)[:, self.own].long())
        return logits[:, self.own.argsort()].view(*x.shape, self.levels)


@planted(LEAK)
def another_order_than_stated():
    return made(model=OtherOrder)


class OrderUndoneTwice(Chain):
    def forward(self, x):
        logits = self.logits(x.flatten(1)[:, self.order].long())
        return logits[:, self.order].view(*x.shape, self.levels)


@planted(LEAK)
def order_applied_twice_in_forward():
    return made(model=OrderUndoneTwice)


class FirstNotCounted(Chain):
    def log_prob(self, x):
        return self.conditionals(x)[:, 1:].sum(1)


@planted(ONE, CHAIN, LAW)
def first_variable_not_counted():
    return made(model=FirstNotCounted)


class MeanOverTime(Chain):
    def log_prob(self, x):
        return self.conditionals(x).mean(1)


@planted(ONE, CHAIN, LAW)
def mean_over_time():
    return made(model=MeanOverTime)


class SeriesMean(Series):
    def log_prob(self, x):
        return self.law(x).log_prob(x).mean(1)


@planted(LAW)
def mean_over_time_of_a_series():
    return SeriesMean(5), table(5), {}


class TemperedLogProb(Chain):
    def conditionals(self, x):
        v = x.flatten(1)[:, self.order].long()
        return (self.logits(v) / 0.5).log_softmax(-1).gather(2, v[..., None])[..., 0]


@planted(CHAIN, LAW)
def temperature_left_in_log_prob():
    return made(model=TemperedLogProb)


class NotNormalised(Chain):
    def conditionals(self, x):
        v = x.flatten(1)[:, self.order].long()
        return self.logits(v).gather(2, v[..., None])[..., 0]


@planted(ONE, CHAIN, LAW)
def logits_not_normalised():
    return made(model=NotNormalised)


class NoisyInput(Chain):
    def logits(self, v):
        h = one_hot(v, self.levels).to(next(self.parameters()).dtype)
        return self.net(nn.functional.dropout(h, 0.2, training=True))


@planted(EVAL)
def input_noise_left_on_in_eval():
    return made(model=NoisyInput)


# --- planted faults: sampling ---------------------------------------------------------------------


class Backwards(Chain):
    def times(self):
        return reversed(range(len(self.order)))


@planted(COND)  # the law of the draws comes close to the right one under some weights
def reversed_generation():
    return made(model=Backwards)


class OrderIgnored(Chain):
    def stored(self, v):
        return v.view(len(v), *self.shape)


@planted(LAW, COND)
def order_ignored_in_sampling():
    return made(model=OrderIgnored)


class TemperedDraw(Chain):
    def draw(self, logits):
        return super().draw(logits / 0.7)


@planted(LAW, COND)
def temperature_left_in_sampling():
    return made(model=TemperedDraw)


class GreedyDraw(Chain):
    def draw(self, logits):
        return logits.argmax(-1)


@planted(LAW, COND)
def likeliest_for_a_draw():
    return made(model=GreedyDraw)


class CacheBehind(Cached):
    def follow(self, v, t, state):
        return super().follow(v, max(t - 1, 0), state)


class CacheLost(Cached):
    def follow(self, v, t, state):
        return super().follow(v, t, None if t == 2 else state)


@planted(LAW)
def cache_off_by_one_in_sampling():
    return recurrent(CacheBehind)


@planted(LAW, COND)
def cache_emptied_on_the_way():
    return recurrent(CacheLost)


class ZeroStart(Cached):
    def start(self, n):
        row, state = super().start(n)
        return torch.zeros_like(row), state


@planted(LAW, COND)
def another_start_symbol_in_sampling():
    return recurrent(ZeroStart)


class SeriesVariance(Series):
    @torch.no_grad()
    def sample(self, n):
        x = torch.zeros(n, *self.shape, dtype=next(self.parameters()).dtype)
        for t in range(self.shape[0]):
            law = self.law(x)
            x[:, t] = torch.distributions.Normal(law.mean, law.variance).sample()[:, t]
        return x


@planted(LAW)
def series_drawn_with_its_variance():
    return SeriesVariance(2), table(2), {}
