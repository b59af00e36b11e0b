"""The door of the command ``python -m dgm.compression pack`` and ``unpack``, which is zoo/packing.py.

The command needs trained models, which stand a floor above this room. Needs torch only when run.
"""

import runpy

if __name__ == "__main__":
    runpy.run_module("dgm.zoo.packing", run_name="__main__", alter_sys=True)
