"""A flexibly fair VAE of unfair sprites: attributes are chosen when the code is used.

``python -m dgm.zoo.studies.chosen_attributes`` trains what is not on file, half a minute of one
core each. Task and attributes are read off codes without the entries of the attributes named.
"""

from itertools import product
from pathlib import Path

import torch
from torch import nn

from dgm import runtime
from dgm.data.census import SensitiveTable
from dgm.data.unfair_sprites import unfair_sprites
from dgm.fairness.group_gaps import demographic_parity_gap
from dgm.fairness.sensitive_probe import boosted_probe, sensitive_probe
from dgm.zoo.fairness import flexibly_fair_vae
from dgm.zoo.studies.runs import read_runs, train_missing

FILE = Path(__file__).with_suffix(".json")
SEEDS, INDEPENDENCE = range(3), (0.0, 20.0)
WITHOUT = ((), (0,), (1,), (0, 1))
SIZES = dict(n_attributes=2, latent_dim=8, width=128, attribute_weight=50.0)
STEPS, WARM, BATCH, RATE, CRITIC_STEPS = 1000, 350, 128, 2e-3, 2


def load() -> list[dict]:
    """One dict for each run: independence, seed, and what was read off each choice of codes."""
    return read_runs(FILE)


def train_flexible(table: SensitiveTable, independence: float, seed: int) -> nn.Module:
    """A flexibly fair VAE of the training sprites, in eval mode.

    A game of two: after every step of the codes the critic takes some of its own, so that it is not
    left behind. First ``WARM`` steps without it and with a light KL term, so that z gets used.
    """
    runtime.seed(seed)
    model = flexibly_fair_vae(table.kind, independence=independence, **SIZES)
    model.start_from(table.train)
    critic = list(model.critic.parameters())
    others = [p for name, p in model.named_parameters() if not name.startswith("critic")]
    codes_step, critic_step = torch.optim.Adam(others, RATE), torch.optim.Adam(critic, RATE)
    for step in range(STEPS):
        # the codes
        model.beta = 0.1 if step < WARM else 1.0
        model.independence = 0.0 if step < WARM else independence
        rows = torch.randint(len(table.train), (BATCH,))
        codes_step.zero_grad()
        model.loss(table.train[rows], table.train_a[rows]).mean().backward()
        codes_step.step()
        for group in codes_step.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        # the critic, on codes as they are now
        for _ in range(CRITIC_STEPS if independence else 0):
            rows = torch.randint(len(table.train), (BATCH,))
            with torch.no_grad():
                codes = model.posterior(table.train[rows]).rsample()
            critic_step.zero_grad()
            model.critic_loss(codes).mean().backward()
            critic_step.step()
    return model.eval()


def read_choice(
    model: nn.Module, table: SensitiveTable, without: tuple[int, ...], means: bool = False
) -> dict:
    """Accuracy of a fresh probe of the task, its parity gap for each attribute, and their leaks."""
    made = torch.Generator().manual_seed(0)
    options = dict(without=without, means=means, generator=made)
    z, v = model.fair_codes(table.train, **options), model.fair_codes(table.test, **options)
    fresh = boosted_probe().fit(z.numpy(), table.train_y.numpy())
    yes = table.test_y.new_tensor(fresh.predict(v.numpy()))
    found = {"without": list(without)}
    found["accuracy"] = round((yes == table.test_y).double().mean().item(), 4)
    found["parity"], found["area"], found["p_value"] = [], [], []
    for a, b in zip(table.train_a.T, table.test_a.T, strict=True):
        leak = sensitive_probe(z, a, v, b)
        found["parity"].append(round(demographic_parity_gap(yes, b), 4))
        found["area"].append(round(leak.area, 4))
        found["p_value"].append(round(leak.p_value, 4))
    return found


def one_cell(independence: float, seed: int) -> dict:
    """Train one cell and read its codes."""
    table = unfair_sprites()
    model = train_flexible(table, independence, seed)
    found = {"choices": [read_choice(model, table, without) for without in WITHOUT]}
    found["means"] = read_choice(model, table, WITHOUT[-1], means=True)
    with torch.no_grad():
        found["nats"] = round(-model.elbo(table.test).mean().item(), 3)
    return found


def main() -> None:
    """Train what is not on file yet, seed by seed."""
    cells = [dict(independence=g, seed=s) for s, g in product(SEEDS, INDEPENDENCE)]
    train_missing(FILE, cells, one_cell, sizes=SIZES, steps=STEPS, batch=BATCH, rate=RATE)


if __name__ == "__main__":
    main()
