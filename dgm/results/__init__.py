"""The ledger: every measured figure the book shows, one JSON file per chapter and scale.

| file        | what it holds                                                              |
|-------------|----------------------------------------------------------------------------|
| `ledger.py` | `Ledger.record`, which holds a figure against the one on file; tables      |
| `file.py`   | the format of the files                                                    |
"""

from dgm.results.ledger import FigureMoved, Ledger, Table, hardware, load, root, table

__all__ = ["FigureMoved", "Ledger", "Table", "hardware", "load", "root", "table"]
