"""Fill the lines ``% play: NAME`` of a page with figures that compute, made from the trained zoo.

They are made when the page is read, in a few seconds: the weights are those of the package, the
clinic is the one that chapter 3 writes down.
"""

import ast
import json
import pathlib

from sphinx.util import logging

LOG = logging.getLogger(__name__)
CLINIC = "03_linear_codes"


def digit(root):
    import torch

    from dgm import data, zoo
    from dgm.distribution.level_table import LevelTable
    from dgm.mixture.categorical_mixture import CategoricalMixture
    from dgm.plot.live.digit import draw_a_digit

    digits = data.load("digits")
    mixture = CategoricalMixture(25, digits.kind)
    mixture.start_from(digits.train, generator=torch.Generator().manual_seed(0))
    models = {
        "Histogram of each pixel": LevelTable(digits.kind).fit_to(digits.train, 0.1),
        "Mixture of 25 tables": mixture.fit_to(digits.train, 30, smoothing=10.0),
        "NADE": zoo.load("nade", "digits").eval(),
        "Gated PixelCNN": zoo.load("gated_pixelcnn", "digits").eval(),
        "VAE, bound of 16 draws": zoo.load("vae", "digits").eval(),
    }
    names = [f"A test digit, {y}" for y in digits.test_y[:5].tolist()]
    return draw_a_digit(models, digits.test[:5], names, digits.test, "Gated PixelCNN")


def dependence(root):
    from dgm import data, zoo
    from dgm.plot.live import dependence

    names = {"PixelCNN": "pixelcnn", "Gated PixelCNN": "gated_pixelcnn"}
    models = {shown: zoo.load(name, "digits").eval() for shown, name in names.items()}
    return dependence.dependence(models, data.load("digits").test[:8])


def line(root):
    from dgm.plot.live.line import flow_1d

    return flow_1d()


def elbo(root):
    from dgm.plot.live.elbo import elbo_by_hand

    return elbo_by_hand()


def clinic(root):
    """The network of chapter 3: names of causes, names of findings, the model."""
    import torch

    from dgm.distribution.support import Levels
    from dgm.linear.noisy_or import NoisyOr

    book = json.loads((root / f"notebooks/{CLINIC}.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in book["cells"]]
    (code,) = [text for text in cells if "diseases = [" in text]
    wanted, found = {"diseases", "table", "leak", "prior"}, {"torch": torch}
    for node in ast.parse(code).body:  # the four assignments, and nothing else of the cell
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in wanted:
            exec(compile(ast.Module([node], []), CLINIC, "exec"), found)
    table = found["table"]
    strength, kind = torch.tensor(list(table.values())), Levels((len(table),), 2)
    model = NoisyOr.from_probabilities(kind, found["prior"], strength, found["leak"])
    return found["diseases"], list(table), model


def diagnosis(root):
    from dgm.plot.live.diagnosis import noisy_or_diagnosis

    causes, findings, model = clinic(root)
    return noisy_or_diagnosis(model, causes, findings, ["runny nose", "sneezing"])


FIGURES = {f.__name__: f for f in (digit, dependence, line, elbo, diagnosis)}


def fill(app, docname, source):
    lines, root = source[0].split("\n"), pathlib.Path(app.srcdir)
    asked = {k: text[8:] for k, text in enumerate(lines) if text.startswith("% play: ")}
    for k, name in asked.items():
        try:
            lines[k] = f"```{{raw}} html\n{FIGURES[name](root).data}\n```"
        except ValueError as error:  # weights are missing or stale
            LOG.warning("playground: no figure %s: %s", name, error, location=docname)
    if asked:
        source[0] = "\n".join(lines)
        for path in root.glob("dgm/plot/live/*.*"):
            app.env.note_dependency(str(path))


def setup(app):
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
