"""Pictures: one figure style, the few plots every chapter draws, and pieces of a page.

| file          | what it holds                                                            |
|---------------|--------------------------------------------------------------------------|
| `draw.py`     | image grids, training curves, densities, scatter plots, warped grids     |
| `figure.py`   | the style: colours, labels, PNGs                                         |
| `page.py`     | HTML and Markdown in a notebook: `slider`, `source`                      |
| `slider.html` | the template of a slider                                                 |
| `plane.py`    | a latent plane to walk in: `plane`                                       |
| `plane.html`  | its template                                                             |
| `sound.py`    | sounds to listen to: `players`                                           |
| `tokens.py`   | sequences: characters and their cost, attention, what dilated taps reach |
| `tree.py`     | the map of generative models: `model_map`                                |
"""

from dgm.plot.draw import curve, density, images, scatter, warp
from dgm.plot.figure import COLORS, DENSITY, label, style
from dgm.plot.page import slider, source
from dgm.plot.plane import plane

__all__ = [
    "COLORS", "DENSITY", "curve", "density", "images", "label", "plane", "scatter", "slider",
    "source", "style", "warp",
]  # fmt: skip
