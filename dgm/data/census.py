"""Ten thousand full-time workers of a census: income above 50,000 dollars, and two groups.

The file lies in embedded/, whose README.md says where it comes from.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dgm.distribution.support import Levels, Reals

CENSUS_FILE = Path(__file__).parent / "embedded" / "census-workers10000.csv.gz"
CENSUS_MD5 = "f53559160b03141d63f45397a6b33aea"  # of the text inside
WORKERS = 7, 13, 22  # kinds of employer, occupations, industries
AGES = (30, 35, 40, 45, 50, 55, 60)  # a bit says "at least that old"


@dataclass(frozen=True)
class SensitiveTable:
    """Examples x with a task y and sensitive attributes.

    ``train`` (N, D), ``train_s`` (N,) the group, ``train_y`` (N,) the task, ``train_a`` (N, S) all
    sensitive attributes as 0 or 1, and so on; ``kind`` is what x is of; ``law`` what is known
    exactly, or None.
    """

    train: Tensor
    train_s: Tensor
    train_y: Tensor
    train_a: Tensor
    val: Tensor
    val_s: Tensor
    val_y: Tensor
    val_a: Tensor
    test: Tensor
    test_s: Tensor
    test_y: Tensor
    test_a: Tensor
    kind: Levels | Reals
    attributes: tuple[str, ...]
    law: object = None


def sensitive_parts(
    x: Tensor, s: Tensor, y: Tensor, a: Tensor, sizes: tuple[int, int, int]
) -> dict[str, Tensor]:
    """x, s, y and a cut, in order, into the twelve tensors of a `SensitiveTable`."""
    found = {}
    for end, column in (("", x), ("_s", s), ("_y", y), ("_a", a)):
        for part, rows in zip(("train", "val", "test"), column.split(sizes), strict=True):
            found[f"{part}{end}"] = rows
    return found


def census() -> SensitiveTable:
    """Workers of the US Current Population Survey, 1994-95, as bits (D,); s = 1 for women.

    y = 1 for an income above 50,000 dollars; half of the rows have it, as they were chosen: in the
    survey it is one in six of those who worked all year. ``a`` holds (female, not white), which
    are no columns of x. Those are age, education, marriage, employer, occupation, industry, and
    whether there were capital gains, losses, dividends. 6,000 rows are to train on, 1,000 and 3,000
    to validate and test.
    """
    content = gzip.decompress(CENSUS_FILE.read_bytes())
    if (found := hashlib.md5(content).hexdigest()) != CENSUS_MD5:
        raise ValueError(f"md5 of what {CENSUS_FILE.name} holds is {found}, not {CENSUS_MD5}")
    lines = content.decode().split()[1:]
    rows = torch.tensor([[int(v) for v in line.split(",")] for line in lines])
    y, female, race, age, education, married, *work = rows[:, :9].unbind(1)
    bits = [age[:, None] >= torch.tensor(AGES), education[:, None] > torch.arange(7)]
    bits.append(one_hot(married, 3))
    bits += [one_hot(column, n) for column, n in zip(work, WORKERS, strict=True)]
    x = torch.cat([part.long() for part in (*bits, rows[:, 9:])], 1)
    a = torch.stack((female, (race > 0).long()), 1)
    parts = sensitive_parts(x, female, y, a, (6000, 1000, 3000))
    return SensitiveTable(
        **parts, kind=Levels((x.shape[1],), 2), attributes=("female", "not white")
    )
