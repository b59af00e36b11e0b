"""One network of 8 by 8 digits, trained as a classifier and as a joint energy model, three seeds.

``python -m dgm.zoo.studies.joint_or_plain`` trains what is not on file: accuracy and calibration,
out-of-distribution areas, accuracy under attack, probes. One core, two minutes a joint model.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dgm import data, zoo
from dgm.evaluate import linear_probe
from dgm.jem.joint_energy import JointEnergyModel
from dgm.measure.auroc import auroc
from dgm.measure.calibration import best_temperature, calibration_error, calibration_null
from dgm.measure.pgd import pgd
from dgm.zoo.studies.runs import read_runs, train_missing
from dgm.zoo.train import train

FILE = Path(__file__).with_suffix(".json")
SEEDS = (0, 1, 2)
RECIPES = {"plain": "digits_plain", "joint": "digits"}
RADII = (0.1, 0.2, 0.4)  # in units of pictures scaled to -1 .. 1
REFINED = (0, 1, 10)
ATTACKED, CHAINS, STEPS = 48, 2, 8  # pictures under attack; chains that an answer is averaged over
STRONG, STRONG_STEPS = 4, 12  # the same of the attack through every step of the walk, at RADII[1]


def load() -> list[dict]:
    """The runs on file."""
    return read_runs(FILE)


def outsiders() -> dict[str, Tensor]:
    """Pictures of the size and levels of the digits that are none, by name."""
    digits = data.load("digits")
    rows = digits.test.flatten(1)
    made = torch.Generator().manual_seed(0)
    order = torch.rand(rows.shape, generator=made).argsort(1)
    grey = data.load("patches", n=1000).test[: len(rows)].float()
    return {
        "inverted digits": 16 - digits.test,
        "shuffled pixels": rows.gather(1, order).view_as(digits.test),
        "photograph patches": (grey / 255 * 16).round().to(torch.uint8),
    }


def scores_of(model: JointEnergyModel, x: Tensor) -> dict[str, Tensor]:
    """What tells digits from others, by name, each (N,), larger for digits.

    ``typical``: minus the length of the slope of log p, small where mass is (Grathwohl et al.
    2020, section 5.3, the approximate mass).
    """
    u = model.data.scaled(x)
    with torch.no_grad():
        log_g, top = model.log_g(u), model(x).softmax(1).amax(1)
    slope = model.chains.slope(model.log_g, u).flatten(1).norm(dim=1)
    return {"log p": log_g, "confidence": top, "typical": -slope}


def calibrated(model: JointEnergyModel, digits: data.Dataset) -> dict[str, float]:
    """Accuracy and calibration on the test digits; one temperature is fitted on validation."""
    with torch.no_grad():
        logits, held_out = model(digits.test), model(digits.val)
    t, p, y = best_temperature(held_out, digits.val_y), logits.softmax(1), digits.test_y
    found = {"accuracy": (p.argmax(1) == y).double().mean().item()}
    found |= {"nll": cross_entropy(logits, y).item(), "ece": calibration_error(p, y)}
    found |= {"null": calibration_null(p).mean().item(), "temperature": t}
    return found | {"ece_tempered": calibration_error((logits / t).softmax(1), y)}


def answer(
    model: JointEnergyModel, u: Tensor, k: int, generator: torch.Generator, chains: int = CHAINS
) -> Tensor:
    """log p(y | u) (B, K) after k steps of refinement, the mean over ``chains`` chains."""
    many = u.repeat(chains if k else 1, *[1] * (u.dim() - 1))
    with torch.no_grad():
        many = model.refine(many, k, generator)
    logits = model.net(many).log_softmax(1)
    return logits.view(-1, len(u), logits.shape[1]).exp().mean(0).clamp_min(1e-30).log()


def walked(
    model: JointEnergyModel, u: Tensor, k: int, generator: torch.Generator
) -> Tensor:  # fmt: skip
    """u (B, *shape) after k steps of `LangevinReplay.walk`, with gradient through every step."""
    chains, a = model.chains, model.chains.step_size
    for _ in range(k):
        slope = torch.autograd.grad(model.log_g(u).sum(), u, create_graph=True)[0]
        noise = (chains.temperature * a) ** 0.5 * torch.randn(u.shape, generator=generator)
        u = (u + a / 2 * slope + noise).clamp(-chains.box, chains.box)
    return u


def attacked(
    model: JointEnergyModel, digits: data.Dataset, radius: float, k: int, knows: str, seed: int = 0
) -> float:
    """Accuracy on the first test digits after some steps of PGD, by what the attacker knows.

    "network": the network alone. "end": it takes its slope at the refined pictures, averaged over
    chains, as if refining changed nothing (backward pass differentiable approximation). "walk": it
    differentiates through every step of the walk, averaged over more chains, with new noise in
    each step of the attack (expectation over transformation).
    """
    u, y = model.data.scaled(digits.test[:ATTACKED]), digits.test_y[:ATTACKED]
    made = torch.Generator().manual_seed(seed)
    seen = k if knows != "network" else 0
    chains, steps = (STRONG, STRONG_STEPS) if knows == "walk" else (CHAINS, STEPS)

    def loss(v: Tensor) -> Tensor:
        return cross_entropy(answer(model, v, seen, made, chains), y, reduction="none")

    def slope(v: Tensor) -> Tensor:
        many = v.repeat(chains, 1, 1, 1)
        with torch.enable_grad():
            if knows == "walk":
                at = many.requires_grad_()
                end = walked(model, at, seen, made)
            else:
                at = end = model.refine(many, seen, made).requires_grad_()
            wrong = cross_entropy(model.net(end), y.repeat(chains), reduction="sum")
            return torch.autograd.grad(wrong, at)[0].view(chains, *v.shape).mean(0)

    # nothing is refined where the network alone is known: plain ascent
    v = pgd(
        loss if seen else lambda v: cross_entropy(model.net(v), y, reduction="none"),
        u, radius, steps, slope=slope if seen else None, generator=made,
    )  # fmt: skip
    return (answer(model, v, k, made, 2 * STRONG).argmax(1) == y).double().mean().item()


def under_attack(model: JointEnergyModel, digits: data.Dataset, joint: bool) -> list[dict]:
    """Accuracy by radius (0 first), steps of refinement, and what the attacker knows."""
    found = []
    for k in REFINED if joint else (0,):
        for knows in ("network", "end") if k else ("network",):
            accuracies = [attacked(model, digits, r, k, knows) for r in (0.0, *RADII)]
            found.append({"refined": k, "knows": knows, "accuracy": accuracies})
    if joint:
        most = REFINED[-1]
        through = attacked(model, digits, RADII[1], most, "walk")
        found.append({"refined": most, "knows": "walk", "accuracy": [None, None, through, None]})
    return found


def probes(model: JointEnergyModel, digits: data.Dataset) -> dict[str, float]:
    """Test accuracy of a linear probe at every layer, fitted on the training digits; of pixels."""
    parts = [digits.train, digits.test]
    found = {"pixels": linear_probe(parts[0], digits.train_y, parts[1], digits.test_y, c=0.1)}
    with torch.no_grad():
        layers = [model.net.layers(model.data.scaled(x)) for x in parts]
    for i, (h, test_h) in enumerate(zip(*layers, strict=True)):
        found[f"layer {i + 1}"] = linear_probe(h, digits.train_y, test_h, digits.test_y, c=0.1)
    return found


def measured(model: JointEnergyModel, joint: bool) -> dict:
    """All that the chapter says of a run."""
    digits = data.load("digits")
    inside = scores_of(model, digits.test)
    outside = {name: scores_of(model, x) for name, x in outsiders().items()}
    areas = {
        name: {score: list(auroc(inside[score], of[score])) for score in inside}
        for name, of in outside.items()
    }
    found = calibrated(model, digits) | {"auroc": areas}
    found |= {"attack": under_attack(model, digits, joint), "probes": probes(model, digits)}
    return found


def one_run(recipe: str, seed: int) -> dict:
    """Train one cell and measure it."""
    model, header = train(zoo.get("jem"), RECIPES[recipe], seed)
    return {"seconds": header["train_seconds"]} | measured(model, recipe == "joint")


def main() -> None:
    """Train what is missing."""
    cells = [dict(recipe=recipe, seed=seed) for recipe in RECIPES for seed in SEEDS]
    train_missing(FILE, cells, one_run, radii=RADII, refined=REFINED)


if __name__ == "__main__":
    main()
