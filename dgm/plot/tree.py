"""The map of generative models: a tree of families whose leaves are systems, such as the zoo's.

The split into explicit (exact, bounded, unnormalised) and implicit densities follows Goodfellow
(2016), arXiv:1701.00160, fig. 9. A family is one row, which opens on its systems, so that the whole
map stays one screen. Nested lists and a little CSS: it reads on a phone, in light and dark (it only
uses the page's own text colour), by keyboard and by screen reader.
"""

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from dgm.plot import page

NODES = {  # branch: (title, what its members offer)
    ("explicit",): ("Explicit density", "p(x) itself is written down"),
    ("explicit", "exact"): ("Exact", "log p(x) can be computed"),
    ("explicit", "exact", "mixture"): ("Mixtures", "a sum over a few causes"),
    ("explicit", "exact", "linear"): ("Linear factor models", "a few causes, added up"),
    ("explicit", "exact", "autoregressive"): ("Autoregressive models", "one value after the other"),
    ("explicit", "exact", "flow"): ("Flows", "an invertible change of variables"),
    ("explicit", "bound"): ("Bounded", "a lower bound on log p(x)"),
    ("explicit", "bound", "latent"): ("Latent-variable models", "an integral over unseen causes"),
    ("explicit", "bound", "diffusion"): ("Diffusion models", "noise undone step by step"),
    ("explicit", "unnormalised"): ("Unnormalised", "log p(x) up to an unknown constant"),
    ("explicit", "unnormalised", "energy"): ("Energy-based models", "low energy where data lie"),
    ("code",): ("Codes without a density", "a representation, but no p(x)"),
    ("code", "linear"): ("Linear codes", "a matrix there and back"),
    ("code", "autoencoder"): ("Autoencoders", "networks there and back"),
    ("code", "contrast"): ("Learners by a made-up task", "views told apart, patches filled in"),
    ("implicit",): ("Implicit density", "only samples, no p(x)"),
    ("implicit", "adversarial"): ("Adversarial networks", "a critic compares them with data"),
}

SHARED = ("distribution/support.py", "distribution/normal.py", "nets/mlp.py")  # by many systems

FAMILY_COLORS = {  # at least 3:1 against a white page and a black one
    "mixture": "#b5831b",
    "linear": "#7b8f2b",
    "autoregressive": "#2f81d0",
    "flow": "#8468dd",
    "latent": "#12996b",
    "diffusion": "#178f9f",
    "energy": "#d3642c",
    "autoencoder": "#b5558c",
    "contrast": "#9a6a4f",
    "adversarial": "#cd4d66",
}

CSS = """
.dgm-map{container-type:inline-size;margin:1rem 0;font:inherit;line-height:1.35;color:inherit}
.dgm-map :is(ul,li,p){list-style:none;margin:0;padding:0;max-width:none!important}
.dgm-map{--dgm-rail:color-mix(in srgb,currentColor 24%,transparent)}
.dgm-map b{font-weight:650}
.dgm-map .dgm-note{font-size:.86em;opacity:.82}
.dgm-map .dgm-branch{margin-top:.7rem}
.dgm-map .dgm-branch>p{padding:0 0 .25rem}
.dgm-map .dgm-kind{display:grid;grid-template-columns:9.5rem 1fr;
border-top:1px solid var(--dgm-rail)}
.dgm-map .dgm-kind:last-child{border-bottom:1px solid var(--dgm-rail)}
.dgm-map .dgm-branch:not(:last-child)>ul>.dgm-kind:last-child{border-bottom:0}
.dgm-map .dgm-kind>p{padding:.5rem .8rem .4rem 0}
.dgm-map .dgm-kind>p .dgm-note{display:block;font-size:.8em}
.dgm-map .dgm-kind>p .dgm-dot{display:none}
.dgm-map .dgm-family+.dgm-family{border-top:1px dotted var(--dgm-rail)}
.dgm-map .dgm-row{display:grid;grid-template-columns:11.5em 1fr auto 1ch;align-items:baseline;
gap:0 .6rem;padding:.36rem .4rem;border-left:4px solid var(--dgm-color);font-size:.94em}
.dgm-map summary.dgm-row{cursor:pointer;list-style:none}
.dgm-map summary.dgm-row::-webkit-details-marker{display:none}
.dgm-map summary.dgm-row::after{content:"+";font-weight:650;width:1ch;text-align:center}
.dgm-map details[open]>summary.dgm-row::after{content:"\2212"}
.dgm-map summary.dgm-row:hover{background:color-mix(in srgb,var(--dgm-color) 14%,transparent)}
.dgm-map .dgm-count{font-size:.84em;white-space:nowrap}
.dgm-map .dgm-later{opacity:.8;font-style:italic;border-left-style:dotted}
.dgm-map .dgm-leaves{display:grid;grid-template-columns:repeat(auto-fill,minmax(13.5rem,1fr));
gap:.4rem;padding:.4rem 0 .7rem .5rem;border-left:4px solid var(--dgm-color)}
.dgm-map .dgm-leaf{padding:.3rem .6rem .35rem;border:1px solid var(--dgm-rail);border-radius:6px}
.dgm-map a{color:inherit;text-decoration:underline;text-decoration-color:var(--dgm-color);
text-decoration-thickness:2px;text-underline-offset:3px}
.dgm-map a:hover{text-decoration-thickness:3px}
.dgm-map :is(a,summary):focus-visible{outline:2px solid currentColor;outline-offset:2px}
.dgm-map .dgm-leaf>a{font-weight:600}
.dgm-map .dgm-code{font-size:.8em;opacity:.9}
.dgm-map .dgm-code a{display:inline-block;line-height:24px;font-family:ui-monospace,monospace;
text-decoration-thickness:1px;margin-right:.6em;white-space:nowrap}
@container (max-width:36rem){.dgm-map .dgm-kind{display:block}
.dgm-map .dgm-kind>p .dgm-note{display:inline;margin-left:.4rem}
.dgm-map .dgm-kind>p{padding:.35rem 0 .2rem}
.dgm-map .dgm-row{grid-template-columns:1fr auto 1ch}
.dgm-map .dgm-row>.dgm-note{order:1;grid-column:1/-1}
.dgm-map .dgm-leaves{grid-template-columns:1fr}}
"""


def targets(entry: Any) -> tuple[str, list[str]]:
    """Where a leaf leads: its chapter and its code, as paths in the repository.

    The code is that of its own subject: what nearly all systems share is left out.
    """
    files = [file for file in entry.files if not file.startswith(SHARED)]
    return f"notebooks/{entry.chapter}.ipynb", [f"dgm/{file}" for file in files or entry.files]


def model_map(entries: Iterable[Any], link: Callable[[str], str] = page.href):
    """Draw the map.

    Parameters
    ----------
    entries : the leaves, each with ``name``, ``title``, ``chapter``, ``files`` and ``branch``, such
        as ``zoo.entries().values()``.
    link : address of a path in the repository, such as ``notebooks/13_coupling_flows.ipynb`` or
        ``dgm/flow/flow.py``, as seen from the page that holds the map (default: a notebook).

    Returns
    -------
    IPython.display.HTML

    Raises
    ------
    ValueError : an entry whose ``branch`` is no family of the map.
    """
    from IPython.display import HTML

    leaves: dict[tuple[str, ...], list] = {branch: [] for branch in families()}
    for entry in entries:
        if tuple(entry.branch) not in leaves:
            allowed = ", ".join("/".join(branch) for branch in leaves)
            raise ValueError(
                f"branch: {'/'.join(entry.branch)!r} of {entry.name!r} is no family of the map; "
                f"allowed are {allowed}"
            )
        leaves[tuple(entry.branch)].append(entry)
    # nested lists; what opens is a details element: no script
    tree = "".join(_branch(branch, leaves, link) for branch in NODES if len(branch) == 1)
    return HTML(
        f'<nav class="dgm-map" aria-label="Map of generative models"><style>{CSS}</style>'
        f"<ul>{tree}</ul></nav>"
    )


def families() -> list[tuple[str, ...]]:
    """Branches that split no further: where entries hang."""
    return [branch for branch in NODES if not _children(branch)]


def _children(branch: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [b for b in NODES if len(b) == len(branch) + 1 and b[: len(branch)] == branch]


def _note(text: str) -> str:
    return f'<span class="dgm-dot"> ·\u00a0</span><span class="dgm-note">{escape(text)}</span>'


def _branch(branch: tuple[str, ...], leaves: dict, link: Callable[[str], str]) -> str:
    """A branch as a list item: a kind, whose children are families, or what holds kinds."""
    title, note = NODES[branch]
    inner = "".join(
        _branch(child, leaves, link) if _children(child) else _family(child, leaves[child], link)
        for child in _children(branch)
    )
    kind = all(not _children(child) for child in _children(branch))
    return (
        f'<li class="{"dgm-kind" if kind else "dgm-branch"}">'
        f"<p><b>{escape(title)}</b>{_note(note)}</p><ul>{inner}</ul></li>"
    )


def _family(branch: tuple[str, ...], entries: list, link: Callable[[str], str]) -> str:
    """A family as one row, which opens on its systems; a dotted one where there are none yet."""
    title, note = NODES[branch]
    head = f'<b>{escape(title)}</b> <span class="dgm-note">{escape(note)}</span> '
    if not entries:
        inside = (
            f'<p class="dgm-row dgm-later">{head}<span class="dgm-count">chapter to come</span></p>'
        )
    else:
        chapters = list(dict.fromkeys(number_of(entry.chapter) for entry in entries))
        word = "chapter" if len(chapters) == 1 else "chapters"
        systems = "1 system" if len(entries) == 1 else f"{len(entries)} systems"
        count = f"{systems}, {word}\u00a0{spans(chapters)}"
        inside = (
            f'<details><summary class="dgm-row">{head}<span class="dgm-count">{count}</span>'
            f"</summary>{_leaves(branch, entries, link)}</details>"
        )
    color = FAMILY_COLORS[branch[-1]]
    return f'<li class="dgm-family" style="--dgm-color:{color}">{inside}</li>'


def family_id(branch: tuple[str, ...]) -> str:
    """The name of a family's place on the page of the map; a link to it opens the family."""
    return "map-" + "-".join(branch)


def spans(numbers: list[str]) -> str:
    """Numbers in order, neighbours joined: ``"1, 10–12"`` for 1, 10, 11 and 12."""
    groups: list[list[int]] = []
    for number in sorted(map(int, numbers)):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(f"{g[0]}–{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)


def number_of(chapter: str) -> str:
    """The number of a chapter, ``"5"`` of ``"05_vae"``."""
    return chapter.split("_")[0].lstrip("0")


def _leaves(branch: tuple[str, ...], entries: list, link: Callable[[str], str]) -> str:
    items = "".join(_leaf(entry, link) for entry in entries)
    return f'<ul class="dgm-leaves" id="{family_id(branch)}">{items}</ul>'


def _leaf(entry: Any, link: Callable[[str], str]) -> str:
    """One system: its title leads to the chapter, each file name to the code."""
    chapter, files = targets(entry)
    where = "chapter\u00a0" + number_of(entry.chapter)
    code = " ".join(
        f'<a href="{escape(link(file))}">{escape(file.rsplit("/", 1)[-1])}</a>' for file in files
    )
    return (
        f'<li class="dgm-leaf"><a href="{escape(link(chapter))}">{escape(entry.title)}</a>'
        f"{_note(where)}"
        f'<p class="dgm-code">{code}</p></li>'
    )
