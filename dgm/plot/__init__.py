"""Pictures: one figure style, the few plots every chapter draws, and pieces of a page.

| file          | what it holds                                                            |
|---------------|--------------------------------------------------------------------------|
| `draw.py`     | image grids, training curves, densities, scatter plots, warped grids     |
| `figure.py`   | the style: colours, labels, PNGs                                         |
| `page.py`     | HTML and Markdown in a notebook: `slider`, `source`                      |
| `slider.html` | the template of a slider                                                 |
"""

from dgm.plot.draw import curve, density, images, scatter, warp
from dgm.plot.figure import COLORS, DENSITY, label, style
from dgm.plot.page import slider, source

__all__ = [
    "COLORS", "DENSITY", "curve", "density", "images", "label", "scatter", "slider", "source",
    "style", "warp",
]  # fmt: skip
