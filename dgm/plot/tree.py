"""The map of generative models: a tree of families whose leaves are systems, such as the zoo's.

The split into explicit (exact, bounded, unnormalised) and implicit densities follows Goodfellow
(2016), arXiv:1701.00160, fig. 9. Nested lists and a little CSS: it reads on a phone, in light and
dark (it only uses the page's own text colour), by keyboard and by screen reader.
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
    ("implicit",): ("Implicit density", "only samples, no p(x)"),
    ("implicit", "adversarial"): ("Adversarial networks", "a critic compares them with data"),
}

SHARED = ("distribution/support.py", "distribution/normal.py", "nets/mlp.py")  # by many systems

KIND_COLORS = {
    "exact": "#2f81d0",
    "bound": "#12996b",
    "unnormalised": "#cf7a1e",
    "code": "#7a6fd0",
    "implicit": "#b5558c",
}

CSS = """
.dgm-map{container-type:inline-size;margin:1rem 0;font:inherit;line-height:1.4;color:inherit}
.dgm-map ul,.dgm-map li,.dgm-map p{list-style:none;margin:0;padding:0}
.dgm-map,.dgm-map .dgm-node{--dgm-rail:color-mix(in srgb,currentColor 28%,transparent)}
.dgm-map .dgm-kind{--dgm-kind:var(--dgm-color)}
.dgm-map .dgm-kind>ul>.dgm-node{--dgm-rail:var(--dgm-kind)}
.dgm-map .dgm-node{position:relative;padding:.4rem 0 0 1.5rem}
.dgm-map .dgm-node::before{content:"";position:absolute;left:0;top:0;width:1rem;height:1.15rem;
border:solid var(--dgm-rail);border-width:0 0 2px 2px;border-bottom-left-radius:8px}
.dgm-map .dgm-node:not(:last-child)::before{border-left-color:transparent}
.dgm-map .dgm-node:not(:last-child)::after{content:"";position:absolute;left:0;top:0;bottom:-.3rem;
border-left:2px solid var(--dgm-rail)}
.dgm-map b{font-weight:650}
.dgm-map .dgm-kind>p>b{border-bottom:3px solid var(--dgm-kind)}
.dgm-map .dgm-root{font-size:1.1em}
.dgm-map .dgm-note{font-size:.86em;opacity:.8}
.dgm-map .dgm-leaves{display:grid;grid-template-columns:repeat(auto-fill,minmax(14.5rem,1fr));
gap:.5rem;padding:.45rem 0 .6rem}
.dgm-map .dgm-leaf{padding:.4rem .7rem .45rem;border:1px solid;border-left-width:4px;
border-color:var(--dgm-rail) var(--dgm-rail) var(--dgm-rail) var(--dgm-kind);border-radius:6px}
.dgm-map .dgm-leaves{--dgm-rail:color-mix(in srgb,currentColor 28%,transparent)}
.dgm-map a{color:inherit;text-decoration:underline;text-decoration-color:var(--dgm-kind);
text-decoration-thickness:2px;text-underline-offset:3px}
.dgm-map a:hover{text-decoration-thickness:3px}
.dgm-map a:focus-visible{outline:2px solid currentColor;outline-offset:3px;border-radius:3px}
.dgm-map .dgm-leaf>a{font-weight:600}
.dgm-map .dgm-code{font-size:.8em;opacity:.9;margin-top:.1rem}
.dgm-map .dgm-code a{display:inline-block;line-height:24px;font-family:ui-monospace,monospace;
text-decoration-thickness:1px;
margin-right:.6em;white-space:nowrap}
.dgm-map .dgm-later>p{opacity:.75;font-style:italic}
.dgm-map .dgm-later .dgm-note{opacity:1}
@container (max-width:30rem){.dgm-map .dgm-node{padding-left:1rem}
.dgm-map .dgm-node::before{width:.7rem}.dgm-map .dgm-node>p>.dgm-note{display:block}
.dgm-map .dgm-node>p>.dgm-dot{display:none}
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

    leaves: dict[tuple[str, ...], list] = {branch: [] for branch in _families()}
    for entry in entries:
        if tuple(entry.branch) not in leaves:
            allowed = ", ".join("/".join(branch) for branch in leaves)
            raise ValueError(
                f"branch: {'/'.join(entry.branch)!r} of {entry.name!r} is no family of the map; "
                f"allowed are {allowed}"
            )
        leaves[tuple(entry.branch)].append(entry)
    # nested lists, drawn by style alone
    tree = "".join(_node(branch, leaves, link) for branch in NODES if len(branch) == 1)
    root = '<p class="dgm-root"><b>Generative models</b>' + _note("learn p(x) from examples")
    return HTML(
        f'<nav class="dgm-map" aria-label="Map of generative models"><style>{CSS}</style>'
        f'{root}</p><ul class="dgm-tree">{tree}</ul></nav>'
    )


def _families() -> list[tuple[str, ...]]:
    """Branches that split no further: where entries hang."""
    return [branch for branch in NODES if not _children(branch)]


def _children(branch: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [b for b in NODES if len(b) == len(branch) + 1 and b[: len(branch)] == branch]


def _note(text: str) -> str:
    return f'<span class="dgm-dot"> ·\u00a0</span><span class="dgm-note">{escape(text)}</span>'


def _node(branch: tuple[str, ...], leaves: dict, link: Callable[[str], str]) -> str:
    """One node as a list item, with its children or leaves inside."""
    title, note = NODES[branch]
    inner = "".join(_node(child, leaves, link) for child in _children(branch))
    inner = f"<ul>{inner}</ul>" if inner else _leaves(leaves[branch], link)
    kind, style = "", ""
    if branch[-1] in KIND_COLORS:
        kind, style = " dgm-kind", f' style="--dgm-color:{KIND_COLORS[branch[-1]]}"'
    later = "" if inner else " dgm-later"
    note = note if inner else f"{note} (chapter to come)"
    return (
        f'<li class="dgm-node{kind}{later}"{style}>'
        f"<p><b>{escape(title)}</b>{_note(note)}</p>{inner}</li>"
    )


def _leaves(entries: list, link: Callable[[str], str]) -> str:
    items = "".join(_leaf(entry, link) for entry in entries)
    return f'<ul class="dgm-leaves">{items}</ul>' if items else ""


def _leaf(entry: Any, link: Callable[[str], str]) -> str:
    """One system: its title leads to the chapter, each file name to the code."""
    chapter, files = targets(entry)
    where = "chapter\u00a0" + entry.chapter.split("_")[0].lstrip("0")
    code = " ".join(
        f'<a href="{escape(link(file))}">{escape(file.rsplit("/", 1)[-1])}</a>' for file in files
    )
    return (
        f'<li class="dgm-leaf"><a href="{escape(link(chapter))}">{escape(entry.title)}</a>'
        f"{_note(where)}"
        f'<p class="dgm-code">{code}</p></li>'
    )
