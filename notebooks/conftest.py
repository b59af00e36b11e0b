"""Let nbval try each exercise unsolved: in the chapter's own run, before its solution.

So a chapter runs once in `make test`. The stub sees what a reader has at that place, in
a copy of the names, and random numbers go on as if it had not run: the figures of the
chapter stay the same.
"""

import re
from collections import defaultdict

import nbformat
from nbval.plugin import IPyNbCell

# Runs in the chapter's kernel. A missing name or a typing error is no failed attempt.
ATTEMPT = """
def _attempt(stub):
    import random, numpy, torch
    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    try:
        exec(compile(stub, "<stub>", "exec"), dict(globals()))
    except (NameError, SyntaxError, ImportError) as error:
        raise RuntimeError(f"the stub does not run: {{error!r}}")
    except Exception:
        return
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])
        torch.set_rng_state(states[2])
    raise RuntimeError("the exercise passes unsolved")

_attempt({stub!r})
del _attempt
"""


def exercises(nb):
    """(heading, its cell, the next cell) of every exercise."""
    pairs = zip(nb.cells, [*nb.cells[1:], None], strict=True)
    return [
        (c.source.split("\n")[0], c, n)
        for c, n in pairs
        if c.cell_type == "markdown" and c.source.startswith("### Exercise")
    ]


def stub(cell):
    """The code an exercise gives its reader to complete, or None."""
    found = re.search(r"^```python\n(.*?)^```", cell.source, re.DOTALL | re.MULTILINE)
    return found and found[1]


def attempt(item):
    """The stub of the exercise that this cell of a chapter solves, as a cell to run."""
    for heading, question, answer in exercises(item.parent.nb):
        if answer is item.cell and stub(question):
            return IPyNbCell.from_parent(
                item.parent,
                name=f"{heading.strip('# ')}, unsolved",
                cell_num=item.cell_num,
                cell=nbformat.v4.new_code_cell(ATTEMPT.format(stub=stub(question))),
                options=defaultdict(bool),  # its output is not compared
            )
    return None


def pytest_collection_modifyitems(items):
    """Put each stub before its solution."""
    for k in range(len(items) - 1, -1, -1):
        found = attempt(items[k]) if isinstance(items[k], IPyNbCell) else None
        if found:
            items.insert(k, found)
