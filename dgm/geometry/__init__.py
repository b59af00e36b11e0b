"""Latent spaces that are no flat space: spheres, rotations, and surfaces that a decoder makes.

| file                   | idea                                                               |
|------------------------|--------------------------------------------------------------------|
| `bessel_ratio.py`      | the mean length of a von Mises-Fisher law, by a continued fraction |
| `von_mises_fisher.py`  | a bell on a sphere as q(z given x): draws, gradient, KL            |
| `uniform_sphere.py`    | the uniform prior on spheres                                       |
| `rotation.py`          | a bell on the rotations of space as q(z given x): SO(3)            |
| `uniform_rotation.py`  | the uniform prior on the rotations of space                        |
| `turned_points.py`     | a decoder that turns learned points and looks at them              |
| `pullback.py`          | the metric that a decoder puts on its latent space                 |
| `rbf_precision.py`     | a decoder whose spread grows where there were no data              |
| `geodesic.py`          | shortest curves of a metric, by their energy                       |
| `latent_graph.py`      | shortest ways over a graph of points, to start them from           |
"""
