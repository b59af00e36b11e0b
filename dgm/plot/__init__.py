"""Pictures: one figure style, the few plots every chapter draws, and pieces of a page.

| file            | what it holds                                                          |
|-----------------|------------------------------------------------------------------------|
| `draw.py`       | image grids, training curves, densities, scatter plots, warped grids   |
| `figure.py`     | the style: colours, labels, PNGs                                       |
| `page.py`       | HTML and Markdown in a notebook: `slider`, `source`                    |
| `slider.html`   | the template of a slider                                               |
| `panels.py`     | where a wide figure may be parted into panels, for phones              |
| `plane.py`      | a latent plane to walk in: `plane`                                     |
| `plane.html`    | its template                                                           |
| `classes.py`    | a map of points with the number of its class on every island           |
| `matrix.py`     | a matrix of shares with names along its sides                          |
| `bars.py`       | scores of models as bars with errors                                   |
| `globe.py`      | a globe of decoded pictures that turns                                 |
| `strips.py`     | rows of pictures, a name before each                                   |
| `sight.py`      | what a place of a causal network sees, as maps                         |
| `pixel_cost.py` | pictures above what their pixels cost; a picture while it is drawn     |
| `code_maps.py`  | maps of codes in colours, cells of a codebook, bars made of parts      |
| `adversarial.py` | attacked pictures, accuracy by distance, nats of two classes          |
| `fair.py`       | what a code knows and what it is for, gaps of groups                   |
| `outliers.py`   | likelihoods of the wrong data: histograms, areas, ratios, contrast     |
| `game.py`       | two densities with a critic between them, orbits, points among modes   |
| `correlations.py` | a table of correlations; a code with one entry moved                 |
| `sheet.py`      | pictures side by side as one array, for a slider                       |
| `schematic.py`  | one visual language of boxes and arrows; the drawings are in `wiring/` |
| `shapes.py`     | what they are made of: shapes, cells, text with indices, arrows        |
| `sound.py`      | sounds to listen to: `players`                                         |
| `tokens.py`     | sequences: characters and their cost, attention                        |
| `tree.py`       | the map of generative models: `model_map`                              |
| `live/`         | figures that compute in the page                                       |
"""

from dgm.plot.draw import curve, density, images, scatter, warp
from dgm.plot.figure import COLORS, DENSITY, label, style
from dgm.plot.page import slider, source
from dgm.plot.plane import plane

__all__ = [
    "COLORS", "DENSITY", "curve", "density", "images", "label", "plane", "scatter", "slider",
    "source", "style", "warp",
]  # fmt: skip
