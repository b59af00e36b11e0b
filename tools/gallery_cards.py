"""The picture of every chapter: what its own model or experiment looks like, 480 by 300 pixels.

``CARDS`` maps a chapter to its card; `gallery` draws and records them. Experiments that a chapter
trains while it runs are trained here the same way, for fewer steps.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from gallery import NIGHT, best, cloud, field, paint, tiles
from matplotlib import font_manager
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from dgm import data, zoo
from dgm.data.sprites import SpriteGrid
from dgm.diffusion.ddim import DDIM
from dgm.plot.correlations import traversals
from dgm.plot.tree import FAMILY_COLORS

WIDTH, HEIGHT = 480, 300  # pixels
CARDS = {}


@dataclasses.dataclass(frozen=True)
class Card:
    """How a picture is drawn, what it shows in words, and the (system, data) it needs."""

    draw: Callable[[], np.ndarray]
    alt: str
    systems: tuple[tuple[str, str | None], ...] = ()

    def weights(self):
        """Stems of the files of weights; where no data set is named, the best there are."""
        return [f"{name}-{on or best(name)}" for name, on in self.systems]


def card(chapter, alt, *systems):
    """Enter a drawing function as the card of a chapter."""
    return lambda draw: CARDS.setdefault(chapter, Card(draw, alt, systems)).draw


@card("01_joint_and_likelihood", "Fours and nines in a plane, each class with its own Gaussian")
def joint():
    from dgm.distribution.gaussian import FullGaussian
    from dgm.distribution.support import Levels, Reals
    from dgm.joint.generative_classifier import GenerativeClassifier

    digits = data.load("digits")
    chosen = (digits.train_y == 4) | (digits.train_y == 9)
    pixels, nine = digits.train[chosen].flatten(1).float(), digits.train_y[chosen] == 9
    axes = torch.linalg.svd(pixels - pixels.mean(0)).Vh[:2]
    axes = axes * axes.sum(1, keepdim=True).sign()
    plane = (pixels - pixels.mean(0)) @ axes.T / 10
    points, two = Reals((2,)), Levels((), 2)
    gaussians = [FullGaussian(points).fit_to(plane[nine == k]) for k in (0, 1)]
    model = GenerativeClassifier(points, two, gaussians, nine.long().bincount())
    # light says how probable x is, colour which class it would be
    x = torch.linspace(-5, 5, WIDTH)
    y = torch.linspace(3.125, -3.125, HEIGHT)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).view(-1, 2)
    with torch.no_grad():
        both = model.joint_log_prob(grid).exp()  # (N, 2)
    share = (both[:, 1] / both.sum(1)).view(HEIGHT, WIDTH, 1).numpy()
    light = (both.sum(1) / both.sum(1).max()).sqrt().view(HEIGHT, WIDTH, 1).numpy()
    ends = [np.array(to_rgb(FAMILY_COLORS[f])) for f in ("mixture", "autoregressive")]
    night = np.array(to_rgb(NIGHT))
    sheet = night + light * ((1 - share) * ends[0] + share * ends[1] - night)
    image = Image.fromarray((sheet * 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for (a, b), k in zip(plane.tolist(), nine.tolist(), strict=True):
        at = (a + 5) / 10 * WIDTH, (3.125 - b) / 6.25 * HEIGHT
        fill = ("#ffe9b8", "#cfe6ff")[k]
        pen.ellipse((at[0] - 3, at[1] - 3, at[0] + 3, at[1] + 3), fill=fill)
    return np.asarray(image)


@card(
    "02_mixtures_and_unbounded_likelihood",
    "Densities over a line: one component of a mixture narrows onto a point and shoots up",
)
def collapse():
    x = torch.linspace(-3, 3, WIDTH * 2)
    sheet = np.zeros((HEIGHT, WIDTH))
    wide = 0.6 * torch.exp(-0.5 * x**2) / 2.5066
    for k in range(9):
        s = 0.9 * 0.62**k  # each narrower than the last, on the datum at 0.8
        p = wide + 0.4 * torch.exp(-0.5 * ((x - 0.8) / s) ** 2) / (2.5066 * s)
        image = Image.new("L", (WIDTH, HEIGHT))
        top = (HEIGHT - 16 - 118 * p).tolist()
        line = [(i / 2, y) for i, y in enumerate(top)]
        ImageDraw.Draw(image).line(line, fill=80 + 21 * k, width=3, joint="curve")
        sheet = np.maximum(sheet, np.asarray(image) / 255)
    return paint(sheet, "mixture")


@card("03_linear_codes", "Sixty atoms learned from photographs: small oriented edges")
def atoms():
    from dgm.distribution.support import Reals
    from dgm.linear.dictionary import DictionaryLearner
    from dgm.linear.pca import PCA
    from dgm.linear.sparse_coding import fista

    patches = data.load("patches", n=40_000, size=12).train.float()
    patches = patches - patches.mean((1, 2, 3), keepdim=True)
    whiten = PCA(Reals(patches.shape[1:]), 80).fit_to(patches)
    white = whiten.encode(patches) / whiten.eigenvalues[:80].sqrt()
    norm = white.norm(dim=1, keepdim=True)
    white = white / norm.clamp_min(0.5 * norm.median()) * 80**0.5
    learner = DictionaryLearner(Reals((80,)), 160, penalty=1.6, code=fista, steps=12)
    learner.start_from(white)
    for step in range(300):
        batch = white[torch.randint(len(white), (256,))]
        learner.learn(batch, forget=max(0.015, 1 / (step + 1)))
    found = (whiten.axes @ learner.dictionary.detach()).T.view(-1, *patches.shape[1:])[:60]
    found = 0.5 + 0.5 * found / found.abs().amax((1, 2, 3), keepdim=True)
    return np.pad(tiles(found.pow(1.7), 2, 10, 48, "linear"), ((6, 6), (0, 0), (0, 0)), mode="edge")


@card("04_autoencoders", "Digits, below them the same with noise, below those the noise removed")
def denoised():
    from dgm.train import fit

    digits = data.load("digits")
    model = zoo.get("denoising_autoencoder").build(digits.kind)
    fit(model, digits, steps=1500, batch_size=64, lr=5e-3, clip_norm=1.0, progress=False)
    clean = digits.test[:16].flatten(1) / (digits.levels - 1)
    with torch.no_grad():
        noisy = model.corruption(clean)
        restored = model.decoder(model.encoder(noisy))
    rows = [r for half in (slice(0, 8), slice(8, 16)) for r in (noisy[half], restored[half])]
    sheet = tiles(torch.cat(rows).view(-1, 1, 8, 8), 2, 8, 60, "autoencoder")
    return np.pad(sheet, ((30, 30), (0, 0), (0, 0)), mode="edge")


@card("05_vae", "A plane of codes, decoded: digits that turn into one another", ("vae_plane", None))
def latent_plane():
    name = best("vae_plane")
    model, levels = zoo.load("vae_plane", name), data.kind(name).levels
    across, down = torch.linspace(-2.1, 2.1, 10), torch.linspace(1.4, -1.4, 6)
    z = torch.cartesian_prod(down, across).flip(1)
    with torch.no_grad():
        mean = model.likelihood(z).mean
    sheet = tiles(mean.view(60, 1, *mean.shape[-2:]), levels, 10, 48, "latent", gap=0)
    return np.pad(sheet, ((6, 6), (0, 0), (0, 0)), mode="edge")


@card("06_posteriors_and_priors", "Four posteriors no Gaussian fits: above the truth, below a flow")
def posteriors():
    from dgm.data.four_sensors import FourSensors
    from dgm.nets.masked_mlp import MaskedMLP
    from dgm.posterior.flow_posterior import FlowEncoder
    from dgm.posterior.inverse_autoregressive import InverseAutoregressive
    from dgm.vae.gaussian_posterior import GaussianEncoder

    sensors, k = FourSensors(), torch.arange(4).repeat(64)
    layers = [InverseAutoregressive(MaskedMLP(2, 2, 32, 32)) for _ in range(8)]
    net = nn.Sequential(nn.Linear(4, 32), nn.Tanh())
    encoder = FlowEncoder(net, GaussianEncoder(nn.Linear(32, 4), 2, log_std=True), layers)
    adam = torch.optim.Adam(encoder.parameters(), 6e-3)
    slow = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 1000)
    for step in range(1000):
        q = encoder(nn.functional.one_hot(k, 4).float())
        z = q.rsample()
        warm = min(1.0, 0.1 + 2 * step / 1000)
        adam.zero_grad()
        (q.log_prob(z) - warm * sensors.log_joint(z, k)).mean().backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 5.0)
        adam.step()
        slow.step()
    upper, lower = [], []
    for i in range(4):
        truth = partial(sensors.log_posterior, k=i)
        upper.append(field(truth, 3.2, "latent", 120, 150))
        draws = encoder(sensors.example(i, 60_000)).rsample().detach()
        lower.append(cloud(draws, 3.2, "latent", 120, 150))
    return np.concatenate([np.concatenate(upper, 1), np.concatenate(lower, 1)])


@card(
    "07_hierarchical_vae",
    "Rows of digits that share their upper layers; the lower ones are drawn anew",
    ("resnet_vae", None),
)
def redrawn_layers():
    name = best("resnet_vae")
    model, fate = zoo.load("resnet_vae", name), torch.Generator().manual_seed(0)
    rows = []
    for share in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):  # of the layers, from the top
        kept = model.draw(1, generator=fate)[: round(share * len(model.layers))]
        fixed = [z.expand(10, *z.shape[1:]) for z in kept]
        rows.append(model.sample(10, fixed=fixed, generator=fate))
    sheet = tiles(torch.cat(rows), data.kind(name).levels, 10, 48, "latent")
    return np.pad(sheet, ((6, 6), (0, 0), (0, 0)), mode="edge")


@card(
    "08_discrete_codes",
    "Digits, below them the maps of codes they become, below those what the codes give back",
    ("vq_vae", "mnist"),
)
def codes_between():
    name = best("vq_vae")
    model, dataset = (
        zoo.load("vq_vae", name),
        data.load(name if name == "digits" else f"{name}_test"),
    )
    x = dataset.test[:5]
    with torch.no_grad():
        codes, back = model.encode(x), model(x)
    scale = x.shape[-1] // codes.shape[-1]
    codes = codes.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    codes = codes * ((dataset.levels - 1) / (model.codebook.n_codes - 1))
    sheet = tiles(torch.cat((x.float(), codes, back)), dataset.levels, 5, 96, "latent")
    return np.pad(sheet, ((6, 6), (0, 0), (0, 0)), mode="edge")


@card(
    "09_latent_geometry",
    "A globe of digits: the codes of a hyperspherical VAE, decoded where they lie",
    ("hyperspherical_vae", "binary_mnist"),
)
def digits_all_round():
    from dgm.plot.globe import globe

    model = zoo.load("hyperspherical_vae", "binary_mnist").requires_grad_(False)
    decode = lambda z: model.likelihood(z[:, None]).mean[:, 0]  # noqa: E731
    frame = list(globe(decode, n_frames=12, size=HEIGHT))[4]
    side = (WIDTH - HEIGHT) // 2
    return paint(np.pad(frame, ((0, 0), (side, side))) / 255, "latent")


@card("10_autoregressive", "Five digits as they are drawn, pixel after pixel", ("recurrent", None))
def one_after_the_other():
    name = best("recurrent")
    model, kind = zoo.load("recurrent", name), data.kind(name)
    draws = model.sample(5, generator=torch.Generator().manual_seed(0))
    steps = [round(share * kind.dims / 8) for share in range(1, 9)]
    shown = [torch.where(model.rank.view(kind.shape) < step, x, 0) for x in draws for step in steps]
    return tiles(torch.stack(shown), kind.levels, 8, 60, "autoregressive")


@card("11_pixel_models", "Draws of a PixelCNN told the digit, 0 to 9", ("class_pixelcnn", None))
def told_the_digit():
    name = best("class_pixelcnn")
    model, y = zoo.load("class_pixelcnn", name), torch.arange(10).repeat(6)
    draws = model.sample(60, y=y, generator=torch.Generator().manual_seed(0))
    sheet = tiles(draws, data.kind(name).levels, 10, 48, "autoregressive")
    return np.pad(sheet, ((6, 6), (0, 0), (0, 0)), mode="edge")


@card(
    "12_sequences",
    "Text as a Transformer reads it: the brighter a letter, the more bits it cost",
    ("transformer", "text"),
)
def costly_letters():
    from dgm.autoregressive.autoregressive import Autoregressive
    from dgm.distribution.support import Levels
    from dgm.sequence.stream import stream_log_prob

    text, model = data.load("text"), zoo.load("transformer", "text")
    model = Autoregressive(model.net, model.law, Levels((128,), model.data.levels)).eval()
    stream = text.test.flatten()[:3300]
    with torch.no_grad():
        bits = -stream_log_prob(model, stream, keep=64)[3000:] / np.log(2)
    letters = text.decode(stream[3000:]).replace("\n", " ")
    font = font_manager.findfont("DejaVu Sans Mono:bold")
    image, font = Image.new("RGB", (WIDTH, HEIGHT), NIGHT), ImageFont.truetype(font, 26)
    pen = ImageDraw.Draw(image)
    for k, (letter, cost) in enumerate(zip(letters, bits.tolist(), strict=True)):
        shade = paint(np.array([[0.28 + 0.72 * min(cost / 9, 1)]]), "autoregressive")[0, 0]
        pen.text((8 + k % 29 * 16, 8 + k // 29 * 29), letter, tuple(map(int, shade)), font)
    return np.asarray(image)


@card(
    "13_coupling_flows",
    "Two spirals, and the densities that Flow++ learned of them and of a checkerboard",
    ("flowpp", "spirals"),
    ("flowpp", "checkerboard"),
)
def learned_densities():
    sheets = [
        field(zoo.load("flowpp", name).log_prob, size, "flow", WIDTH // 2, HEIGHT)
        for name, size in (("spirals", 3.6), ("checkerboard", 2.6))
    ]
    return np.concatenate(sheets, 1)


@card(
    "14_residual_flows",
    "Forty strokes and digits that a residual flow drew, each block undone by a fixed point",
    ("residual_flow", "mnist"),
)
def undone():
    made = torch.Generator().manual_seed(5)
    drawn = zoo.load("residual_flow", "mnist").sample(40, temperature=0.7, generator=made)
    return tiles(drawn, 256, 8, 60, "flow")


@card(
    "15_structured_and_continuous_flows",
    "A round cloud that an equation carries to two moons, the ways of its points as lines",
    ("ffjord", "moons"),
)
def carried():
    model = zoo.load("ffjord", "moons")
    torch.manual_seed(0)
    ways = model.ode.path(model.base.sample(700), 90)  # (91, 700, 2)
    x = ((ways[..., 0] + 2.6) / 5.9 * (WIDTH - 1)).round().long()
    y = ((2.4 - ways[..., 1]) / 4.3 * (HEIGHT - 1)).round().long()
    light = torch.zeros(HEIGHT, WIDTH)
    for k in range(len(ways)):
        inside = (x[k] >= 0) & (x[k] < WIDTH) & (y[k] >= 0) & (y[k] < HEIGHT)
        light[y[k][inside], x[k][inside]] += 0.05 + 0.95 * (k == len(ways) - 1)
    return paint(light.clamp(max=1).numpy() ** 0.6, "flow")


@card(
    "16_gan",
    "Forty digits of 28 by 28 pixels, each one pass of a GAN's generator",
    ("conv_gan", "mnist"),
)
def one_pass_digits():
    x = zoo.load("conv_gan", "mnist").sample(40, generator=torch.Generator().manual_seed(0))
    return tiles(x, 256, 8, 60, "adversarial")


@card(
    "17_classical_energy",
    "What sixty hidden units of a restricted Boltzmann machine look for in digits: strokes, spots",
    ("rbm", "binary_mnist"),
)
def hidden_units():
    weight = zoo.load("rbm", "binary_mnist").rbm.weight.detach()
    strongest = weight[:, weight.norm(dim=0).argsort(descending=True)[:60]]
    filters = strongest.T.view(-1, 1, 28, 28)
    shown = 0.5 + 0.5 * filters / filters.abs().amax((1, 2, 3), keepdim=True)
    sheet = tiles((100 * shown).round(), 101, 10, 48, "energy")
    return np.pad(sheet, ((6, 6), (0, 0), (0, 0)), mode="edge")


@card(
    "18_deep_energy",
    "Forty digits of 28 by 28 pixels: ends of chains on a deep energy that began at noise",
    ("smoothed_energy", "mnist"),
)
def ends_of_chains():
    x = zoo.load("smoothed_energy", "mnist").sample(40, generator=torch.Generator().manual_seed(0))
    return tiles(x, 256, 8, 60, "energy")


@card(
    "19_score_and_diffusion",
    "Ten digits that appear out of noise, a row for each step of the denoising",
    ("guided_diffusion", "mnist"),
)
def out_of_noise():
    model, path = zoo.load("guided_diffusion", "mnist"), []
    made, y = torch.Generator().manual_seed(0), torch.arange(8) % 10
    last = DDIM(20, eta=1.0, guidance=1.0)(model, 8, y=y, generator=made, path=path)
    shown = [path[k][1] for k in (4, 9, 13, 16)]
    rows = [model.data.unscaled(z.clamp(-1, 1)) for z in shown] + [last.float()]
    return tiles(torch.cat(rows), 256, 8, 60, "diffusion")


@card(
    "20_jem",
    "Digits that a classifier draws: chains that climb the logit of the class of each column",
    ("jem", "digits"),
)
def climbed_logits():
    model = zoo.load("jem", "digits")
    made = torch.Generator().manual_seed(0)
    return tiles(model.sample(60, y=torch.arange(60) % 10, generator=made), 17, 10, 48, "energy")


@card(
    "21_hybrid_models",
    "Five real digits, and beside each the digits 0 to 6 in its style, by a model of 100 labels",
    ("m2", "binary_mnist"),
)
def ten_classes_in_one_style():
    model, digits = zoo.load("m2", "binary_mnist"), data.load("binary_mnist_test")
    shown = digits.test[[2, 4, 7, 8, 11]]
    with torch.no_grad():
        style = model.style(shown, model.posterior(shown).logits.argmax(1))
        every = torch.arange(7).repeat(5)
        made = model.decoded(style.repeat_interleave(7, 0), every).mean
    rows = torch.cat((shown.float()[:, None], made.view(5, 7, 1, 28, 28)), 1)
    return tiles((100 * rows.flatten(0, 1)).round(), 101, 8, 60, "latent")


@card(
    "22_representation",
    "A disc of Gaussian codes, light where they are likely, its two classes wound into spirals",
)
def wound_disc():
    from dgm.representation.winding import Winding

    x = torch.linspace(-4, 4, WIDTH)
    y = torch.linspace(2.5, -2.5, HEIGHT)
    wound = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).view(-1, 2)
    first = (Winding(2, 0.55, stages=1).inverse(wound)[:, 0] > 0).view(HEIGHT, WIDTH, 1).numpy()
    light = (-wound.square().sum(1) / 5).exp().view(HEIGHT, WIDTH, 1).numpy()
    ends = [np.array(to_rgb(FAMILY_COLORS[f])) for f in ("flow", "mixture")]
    night = np.array(to_rgb(NIGHT))
    return ((night + light * (np.where(first, *ends) - night)) * 255).astype(np.uint8)


@card(
    "23_disentanglement",
    "Sprites, a row for each entry of a code: along the row that entry moves and no other",
    ("annealed_vae", "sprites"),
)
def entries_that_move():
    model, grid = zoo.load("annealed_vae", "sprites"), SpriteGrid((3, 4, 9, 8, 8), 32, False)
    with torch.no_grad():
        kl = model.posterior(grid[torch.arange(0, 6912, 7)]).unit_kl().mean(0)
        z = model.posterior(grid[grid.index(torch.tensor([[1, 3, 1, 4, 4]]))]).mean[0]
        used, values = kl.argsort(descending=True)[:5].tolist(), torch.linspace(-2, 2, 8)
        moved = traversals(lambda z: 100 * model.likelihood(z).mean, z, used, values)
    return tiles(moved.movedim(0, 1).flatten(0, 1).round(), 101, 8, 60, "latent")


@card(
    "24_fair_and_invariant",
    "Unfair sprites: large and low ones stand in the right half more often than the others",
)
def unfair_pictures():
    from dgm.data.unfair_sprites import unfair_sprites

    sprites = unfair_sprites(64, size=24)
    order = (2 * sprites.train_a[:40].sum(1) + sprites.train_y[:40]).argsort(stable=True)
    return tiles(sprites.train[:40][order], 2, 8, 60, "latent")


@card(
    "25_robust_classification",
    "A digit, and the best picture that each of ten models, one for each class, can paint of it",
    ("analysis_by_synthesis", "mnist"),
)
def ten_painters():
    model, digits = zoo.load("analysis_by_synthesis", "mnist"), data.load("mnist_test")
    shown = digits.test[[2, 4, 7, 8, 11]]
    with torch.no_grad():
        painted = model.synthesis(shown.float() / 255)[:, :7]
    rows = torch.cat((shown.float()[:, None] / 255, painted), 1)
    return tiles((100 * rows.flatten(0, 1)).round(), 101, 8, 60, "latent")


@card(
    "26_out_of_distribution",
    "Clothes above, which a model has learned, digits and a plain grey below, which it likes more",
)
def liked_more():
    from dgm.data.outlier_sets import clothes_parts, outlier_sets

    others = outlier_sets(24)
    x = torch.cat((clothes_parts(24)["test"], others["digits"][:16], others["constant"][:8]))
    return tiles(x[:40], 256, 8, 60, "latent")


@card(
    "27_compression",
    "Sixty small digits while they are read out of one file: the first whole, the last still grey",
)
def out_of_a_file():
    x = data.load("digits").test[:60].flatten(1).clone()
    read = torch.linspace(64, 4, 60).round().long()  # pixels of each that have been read
    unread = torch.arange(64) >= read[:, None]
    return tiles(x.masked_fill(unread, 6).view(-1, 1, 8, 8), 17, 10, 48, "autoregressive")


SIDE_BY_SIDE = {  # system: its family
    "pixel_wavenet": "autoregressive",
    "resnet_vae": "latent",
    "flowpp": "flow",
    "conv_gan": "adversarial",
    "guided_diffusion": "diffusion",
}


@card(
    "28_all_families",
    "Digits drawn by five families, a row each, in the colours of the map of models",
    *((name, "mnist") for name in SIDE_BY_SIDE),
)
def families_side_by_side():
    from dgm.zoo import side_by_side
    from dgm.zoo.studies.draws_by_judge import shown

    kept, rows = shown(), []
    for name, family in SIDE_BY_SIDE.items():
        x = kept.get(name)
        if x is None:
            x = side_by_side.drawing(zoo.load(name, "mnist"), name)(8)
        rows.append(tiles(x[:8], 256, 8, 60, family))
    return np.concatenate(rows)
