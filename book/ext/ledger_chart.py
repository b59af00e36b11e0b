"""Test nats of every model as a chart: one table row a model, its marks placed by style alone.

A model's row holds every figure of its test nats on one data set: exact (filled), a bound (hollow),
an importance-weighted bound (hollow, smaller, joined to the plain one), two standard errors either
way, and the figures of others (diamonds).
"""

import functools
import html
import math
import re

import live_pages

SETS = {  # images, where nats are shared out over the pixels: dimensions, and what they are
    "digits": (64, "digits: 8 by 8, 17 levels, test set of 447"),
    "mnist": (784, "MNIST: 28 by 28, 256 levels"),
    "mnist_test": (784, "MNIST: 28 by 28, 256 levels, the embedded pictures"),
    "binary_mnist": (784, "MNIST, black or white"),
}
NAME = re.compile(r"(\w+?)_test_(iw_)?(nats|bits_per_dim)(?:_(\w+))?|text_(\w+)_bits_per_character")
ELSEWHERE = re.compile("other data|cifar|imagenet|omniglot", re.IGNORECASE)
SIGNS = {
    "dgm-exact": "exact",
    "dgm-bound": "bound: the truth lies to the left",
    "dgm-bound dgm-draws": "a tighter bound, with more draws",
    "dgm-error": "two standard errors either way",
    "dgm-rerun": "code of others, run again on this data",
    "dgm-published": "published for this data",
}
KEY = (
    '<ul class="dgm-key">'
    + "".join(
        f'<li><span class="dgm-chart"><span class="dgm-track"><i class="{sign}"></i></span></span>'
        f"{words}</li>"
        for sign, words in SIGNS.items()
    )
    + "</ul>"
)
UNITS = {"nats": "nats", "text": "bits/character", "image": "bits/dim"}


def model_figure(figure):
    """(data set, unit of the axis, variant) of a figure of test nats of a model, else None."""
    found = NAME.fullmatch(figure["name"])
    if not found or not figure["model"] or figure["kind"] not in ("exact", "bound"):
        return None
    if (found[4] or "").startswith("mean_of"):
        return None  # the seeds of a model that has a row
    if found[5]:
        return "text", UNITS["text"], found[5]
    unit = UNITS["image"] if found[1] in SETS else UNITS["nats"]
    return found[1], unit, found[4] or ""


@functools.cache
def seed_scores(model, data):
    """Test nats, standard error (and a bound with more draws) of the weights' own seed, or ()."""
    from dgm import zoo

    try:
        head = zoo.header(model, data)
        return tuple(head["seeds"].get(int(head["seed"]), ()))
    except ValueError:  # no such system, recipe or weights: a live model of a chapter
        return ()


def error_of(figure):
    """The standard error of a figure over test examples, in its own unit, or None.

    Recorded with the figure, or written with the weights when they were scored, where that score is
    the figure up to its tolerance.
    """
    if figure.get("error") is not None:
        return figure["error"]
    found = NAME.fullmatch(figure["name"])
    if not found or not figure["model"] or found[2] or found[4] or found[5]:
        return None
    score = seed_scores(figure["model"], found[1])
    scale = 1.0 if found[3] == "nats" else 1 / (SETS[found[1]][0] * math.log(2))
    if len(score) < 2 or abs(score[0] * scale - figure["value"]) > (figure["tolerance"] or 0):
        return None
    return float(f"{score[1] * scale:.3g}")


def number_cell(value):
    """What a column sorts by, and what it shows."""
    if value is None:
        return "", ""
    return float(value), live_pages.number(value)


def marks(figures):
    """(value on the axis, error, kind, draws, nats) of each figure, doubles left out."""
    found = []
    for figure in figures:
        data, unit, _ = model_figure(figure)
        share = 1.0
        if unit == UNITS["image"] and figure["unit"] == "nats":
            share = 1 / (SETS[data][0] * math.log(2))
        error = error_of(figure)
        at = figure["value"] * share
        if any(abs(at - other[0]) < 1e-3 for other in found):
            continue  # the same in bits
        nats = figure["value"] if figure["unit"] == "nats" else None
        found.append(
            (at, None if error is None else error * share, figure["kind"], figure["k"], nats, error)
        )
    return sorted(found, reverse=True)


def theirs(figures):
    """(value on the axis, what it is) of the figures of others on this very data."""
    found = []
    for figure in figures:
        data, unit, _ = model_figure(figure)
        for field, word in (("rerun", "re-run"), ("published", "published")):
            value, note = figure.get(field), figure["source"] or ""
            here = field == "rerun" or (data != "digits" and not ELSEWHERE.search(note))
            if value is not None and here:
                image = unit == UNITS["image"] and figure["unit"] == "nats"
                share = 1 / (SETS[data][0] * math.log(2)) if image else 1.0
                found.append((value * share, field, f"{word} {value} {figure['unit']}, {note}"))
    return found


def line(label, link, color, ours, others, place):
    """One model: its name, its marks on the axis, its number."""
    best = ours[-1]
    dots = (
        [f'<i class="dgm-join" style="{place(best[0], ours[0][0])}"></i>'] if len(ours) > 1 else []
    )
    for at, error, kind, k, *_ in ours:
        if error is not None:
            dots.append(
                f'<i class="dgm-error" style="{place(at - 2 * error, at + 2 * error)}"></i>'
            )
        shape = f"dgm-{kind}"
        dots.append(f'<i class="{shape}{" dgm-draws" if k else ""}" style="{place(at)}"></i>')
    for at, field, note in others:
        text = html.escape(note)
        dots.append(f'<i class="dgm-{field}" style="{place(at)}" title="{text}"></i>')
    at, error, kind, k, nats, nats_error = ours[0]
    plus = "" if nats_error is None else f" ± {nats_error:.2f}"
    in_nats = "" if nats is None else f"{nats:.2f}{plus}"
    more = f"; {k} draws" if k else ""
    beside = ' class="dgm-beside"' if others else ""
    extra = "".join(f" ({note})" for *_, note in others)
    return (
        f'<tr{beside} style="--dgm-color:{color}">'
        f'<th scope="row"><a href="#{link}">{label}</a></th>'
        f'<td class="dgm-track" data-by="{ours[0][0]:.5f}">{"".join(dots)}'
        f'<span class="dgm-hidden">{kind}{more}{html.escape(extra)}</span></td>'
        f'<td data-by="{at:.5f}">{at:.3f}</td>'
        f'<td data-by="{"" if nats is None else nats}">{in_nats}</td><td>{kind}</td></tr>'
    )


def panel(data, unit, rows):
    """The chart of one data set; ``rows`` maps (model, variant) to (link, figures)."""
    from dgm import zoo
    from dgm.plot.tree import FAMILY_COLORS

    drawn = []
    for (model, variant), (link, figures) in rows.items():
        family = zoo.get(model).branch[-1] if model in zoo.modules() else None
        label = html.escape(f"{model}, {variant}" if variant else model).replace("_", " ")
        color = FAMILY_COLORS.get(family, "currentColor")
        drawn.append((label, link, color, marks(figures), theirs(figures)))
    values = [
        v for *_, ours, others in drawn for v in [m[0] for m in ours] + [o[0] for o in others]
    ]
    low, high = min(values), max(values)
    low, high = low - 0.04 * (high - low or 1), high + 0.04 * (high - low or 1)

    def place(a, b=None):
        left = 100 * (a - low) / (high - low)
        width = "" if b is None else f";width:{100 * (b - a) / (high - low):.2f}%"
        return f"left:{left:.2f}%{width}"

    step = next(s for s in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if (high - low) / s <= 8)
    first = math.ceil(low / step)
    ticks = [round(k * step, 6) for k in range(first, math.floor(high / step) + 1)]
    axis = "".join(f'<i style="{place(t)}">{t:g}</i>' for t in ticks)
    lines = "".join(line(*d, place) for d in sorted(drawn, key=lambda d: d[3][0][0]))
    title = SETS[data][1] if data in SETS else data.replace("_", " ")
    number = '<th scope="col" data-number'
    heads = (
        f'<th scope="col">model</th>{number} class="dgm-axis"><span>{axis}</span></th>'
        f'{number}>{unit}</th>{number}>nats</th><th scope="col">kind</th>'
    )
    caption = f"{html.escape(title)}, in {unit}: less is better"
    return (
        f'<table class="dgm-chart dgm-sortable"><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
    )


def chart(books, anchor):
    """All panels: a chart where three models or more share a data set, then the rest in words."""
    sets = {}
    for book in books:
        for figure in book["figures"]:
            found = model_figure(figure)
            if found:
                data, unit, variant = found
                if book["scale"] != "laptop":
                    variant = f"{variant} {book['scale']}".strip()
                rows = sets.setdefault((data, unit), {})
                _, figures = rows.setdefault(
                    (figure["model"], variant), (anchor(book["chapter"], figure), [])
                )
                figures.append(figure)
    charts = [panel(*key, rows) for key, rows in sets.items() if len(rows) > 2]
    rest = []
    for (data, _), rows in sets.items():
        for (model, _), (link, figures) in rows.items() if len(rows) <= 2 else ():
            name, on = html.escape(model.replace("_", " ")), data.replace("_", " ")
            value = f"{live_pages.number(figures[0]['value'])} {figures[0]['unit']}"
            rest.append(f'<li><a href="#{link}">{name}</a> on {on}: {value}</li>')
    return "".join(charts) + f'<ul class="dgm-rest">{"".join(rest)}</ul>'
