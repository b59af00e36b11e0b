"""The door of the command ``python -m dgm.compression pack``, ``unpack``: see zoo/packing.py.

The command needs trained models, which stand two floors above this room and import from it; this
file only starts it, by name. Needs torch only when run.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("dgm.zoo.packing", run_name="__main__", alter_sys=True)
