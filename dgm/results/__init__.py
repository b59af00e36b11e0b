"""The ledger: every measured figure the book shows, one JSON file per chapter and scale.

| file        | what it holds                                                              |
|-------------|----------------------------------------------------------------------------|
| `ledger.py` | `Ledger.record`, which holds a figure against the one on file              |
| `claim.py`  | one claim: measured values, a relation, what is required                   |
| `claims.py` | `Claims`: the table of what a chapter says, which raises where a row fails |
| `table.py`  | `load` and `table`: recorded figures read back and shown                   |
| `file.py`   | the format of the files                                                    |
"""

from dgm.results.claims import ClaimFailed, Claims
from dgm.results.ledger import FigureMoved, Ledger, hardware, root
from dgm.results.table import Table, load, table

__all__ = [
    "ClaimFailed", "Claims", "FigureMoved", "Ledger", "Table", "hardware", "load", "root", "table",
]  # fmt: skip
