"""Draw the pictures of the front page: a strip of draws of every family, a card for each chapter.

python tools/gallery.py          (draws what is missing or out of date; --all draws everything)

A picture is made by the models of its chapter, from committed weights where there are any, with
fixed seeds and no choice among draws. ``book/static/gallery/gallery.json`` records what each shows,
and the checksums of the weights and of the drawing code it came from; tests/test_landing.py fails
where one moved on. Weights on 28 by 28 digits are taken as soon as they lie beside the others. A
new chapter adds one function to gallery_cards.py, a new family one line to ``STRIP``. The chapters
in README are rewritten too.
"""

import argparse
import hashlib
import inspect
import io
import json
import pathlib
import sys

import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from PIL import Image

from dgm import data, zoo
from dgm.plot.tree import FAMILY_COLORS
from dgm.zoo.weights import FOLDER as WEIGHTS
from dgm.zoo.weights import SUFFIX, read_weights

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "book/static/gallery"
RECORD, README = FOLDER / "gallery.json", FOLDER.parents[2] / "README.md"
NIGHT = "#0b1020"  # pictures have their own dark ground, on light pages and dark ones
MOST_BYTES = 25_000
STRIP = {  # system: the words under its draws, in the order of the strip
    "deep_mixture": "Mixture",
    "vae": "VAE",
    "resnet_vae": "Deep VAE",
    "vq_vae": "VQ-VAE",
    "pixel_wavenet": "WaveNet",
    "class_pixelcnn": "PixelCNN",
    "realnvp": "RealNVP",
    "glow": "Glow",
    "flowpp": "Flow++",
    "conv_gan": "GAN",
    "smoothed_energy": "Energy",
    "guided_diffusion": "Diffusion",
}


# --- weights --------------------------------------------------------------------------------------


def best(system, among=("mnist", "digits")):
    """The first of these data sets for which the book holds weights of the system."""
    return next(name for name in among if (WEIGHTS / f"{system}-{name}{SUFFIX}").is_file())


def checksum(stem):
    """What the header of ``flowpp-digits``, say, says is in it; None where there is no file."""
    file = WEIGHTS / f"{stem}{SUFFIX}"
    return read_weights(file)[1]["checksum"] if file.is_file() else None


def code(function):
    """16 hex digits over the source of a drawing function and of what all of them share."""
    text = "".join(map(inspect.getsource, (function, colours, paint, tiles, field, cloud)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- pictures -------------------------------------------------------------------------------------


def colours(family):
    """From night through the colour of the family to nearly white."""
    steps = [(0, NIGHT), (0.5, FAMILY_COLORS[family]), (1, "#fdfbf5")]
    return LinearSegmentedColormap.from_list(family, steps)


def paint(values, family):
    """Values (H, W) in 0..1 as an RGB array (H, W, 3) of bytes."""
    return (colours(family)(np.clip(values, 0, 1))[..., :3] * 255).round().astype(np.uint8)


def tiles(images, levels, columns, side, family, gap=4):
    """Images (N, 1, H, W) of integers 0 .. levels-1 as an RGB array, row by row."""
    shown = images.float().div(levels - 1).clamp(0, 1)[:, 0].numpy()
    rows = -(-len(shown) // columns)
    ground = np.array(to_rgb(NIGHT)) * 255
    sheet = np.tile(ground.astype(np.uint8), (rows * side, columns * side, 1))
    for k, image in enumerate(shown):
        small = Image.fromarray((image * 255).astype(np.uint8))
        large = small.resize((side - gap, side - gap), Image.Resampling.BICUBIC)
        top, left = k // columns * side + gap // 2, k % columns * side + gap // 2
        painted = paint(np.asarray(large) / 255 * 0.95 + 0.05, family)
        sheet[top : top + side - gap, left : left + side - gap] = painted
    return sheet


def field(log_density, half_width, family, width, height, power=0.6):
    """A density over the plane, ``half_width`` to either side, the square root or so painted."""
    x = torch.linspace(-half_width, half_width, width)
    y = torch.linspace(half_width, -half_width, height) * height / width
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).view(-1, 2)
    with torch.no_grad():
        p = torch.cat([log_density(part) for part in points.split(10_000)]).exp()
    p = p.view(height, width) / p.quantile(0.995)
    return paint(p.clamp(0, 1).pow(power).numpy(), family)


def cloud(z, half_width, family, width, height):
    """Draws z (N, 2) as a smoothed histogram, painted like `field`."""
    high = half_width * height / width
    box = [[-high, high], [-half_width, half_width]]
    count = np.histogram2d(*z.flip(1).T.numpy(), bins=(height // 2, width // 2), range=box)[0][::-1]
    p = np.clip(count / np.quantile(count, 0.99), 0, 1) ** 0.6
    large = Image.fromarray((p * 255).astype(np.uint8)).resize((width, height))
    return paint(np.asarray(large) / 255, family)


def store(pixels, name):
    """Write an RGB array as ``name``.webp, as fine as `MOST_BYTES` allow."""
    for quality in range(90, 20, -5):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "WEBP", quality=quality, method=6)
        if len(stream.getvalue()) <= MOST_BYTES:
            break
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.webp").write_bytes(stream.getvalue())
    print(f"{name}: {pixels.shape[1]} x {pixels.shape[0]}, {len(stream.getvalue())} bytes")
    return dict(file=f"{name}.webp", width=pixels.shape[1], height=pixels.shape[0])


def strip_pixels(system):
    """The first six draws of a system, two by three; of digits 2 to 7 where it is told which."""
    entry, name = zoo.get(system), best(system)
    model = zoo.load(system, name)
    told = {} if getattr(model, "condition", None) is None else {"y": torch.arange(2, 8)}
    draws = model.sample(6, generator=torch.Generator().manual_seed(0), **told)
    return tiles(draws, data.kind(name).levels, 2, 80, entry.branch[-1])


# --- the record -----------------------------------------------------------------------------------


def wanted():
    """What the record must say of every picture: name -> weights and code it comes from."""
    from gallery_cards import CARDS

    strip = {f"strip-{name}": ([f"{name}-{best(name)}"], strip_pixels) for name in STRIP}
    cards = {f"card-{chapter}": (card.weights(), card.draw) for chapter, card in CARDS.items()}
    return {
        name: dict(weights={stem: checksum(stem) for stem in stems}, code=code(draw))
        for name, (stems, draw) in (strip | cards).items()
    }


def read():
    """The record: name -> file, size, alt, weights, code."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}


def stale():
    """Names of the pictures that are missing, or drawn from other weights or by other code."""
    record = read()
    return [
        name
        for name, made_of in wanted().items()
        if not (FOLDER / f"{name}.webp").is_file()
        or any(record.get(name, {}).get(key) != value for key, value in made_of.items())
    ]


def draw(name):
    """Draw one picture; what the record says of it."""
    from gallery_cards import CARDS

    kind, key = name.split("-", 1)
    torch.manual_seed(0)
    if kind == "card":
        return store(CARDS[key].draw(), name) | dict(alt=CARDS[key].alt)
    entry = zoo.get(key)
    alt = f"Six draws of a {entry.title.removeprefix('A ')}, {best(key)}"
    about = dict(label=STRIP[key], chapter=entry.chapter, family=entry.branch[-1])
    return store(strip_pixels(key), name) | dict(alt=alt) | about


def join_strip():
    """All of the strip side by side, for README: nothing but the pictures of the page."""
    parts = [np.asarray(Image.open(FOLDER / f"strip-{name}.webp")) for name in STRIP]
    night = np.array(to_rgb(NIGHT)) * 255
    gap = np.tile(night.astype(np.uint8), (parts[0].shape[0], 16, 1))
    sheet = np.concatenate([p for part in parts for p in (part, gap)][:-1], axis=1)
    framed = np.tile(night.astype(np.uint8), (sheet.shape[0] + 24, sheet.shape[1] + 24, 1))
    framed[12:-12, 12:-12] = sheet
    store(framed, "strip")


def readme_table():
    """The chapters as README lists them: picture, title, question."""
    sys.path.append(str(README.parent / "book/ext"))
    from live_pages import chapter_links

    lines = ["| | chapter | question |", "|---|---|---|"]
    for stem, (title, question) in chapter_links(README.parent).items():
        picture = f'<img src="book/static/gallery/card-{stem}.webp" width="140" alt="">'
        lines.append(f"| {picture} | [{title}](notebooks/{stem}.ipynb) | {question} |")
    return "\n".join(lines)


def write_readme(text):
    """``text`` with the table of chapters as it is today."""
    head, rest = text.split("## Chapters\n\n", 1)
    return f"{head}## Chapters\n\n{readme_table()}\n\n## {rest.split('## ', 1)[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--all", action="store_true", help="draw everything again")
    todo, made_of = stale(), wanted()
    todo = list(made_of) if parser.parse_args().all else todo
    record = {name: about for name, about in read().items() if name in made_of}
    for name in todo:
        record[name] = draw(name) | made_of[name]
        ordered = {name: record[name] for name in made_of if name in record}
        RECORD.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if any(name.startswith("strip-") for name in todo):
        join_strip()
    README.write_text(write_readme(README.read_text(encoding="utf-8")), "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    main()
