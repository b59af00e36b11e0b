"""Linear codes: causes that are mixed by a matrix, and how to read them back.

| file                   | what it holds                                                           |
|------------------------|-------------------------------------------------------------------------|
| `pca.py`               | `PCA`: the directions of largest variance; angles between subspaces     |
| `linear_autoencoder.py`| `LinearAutoencoder`: two matrices by gradient; the same span, other axes|
| `probabilistic_pca.py` | `ProbabilisticPCA`: PCA with a density, in closed form                  |
| `linear_vae.py`        | `LinearVAE`: the same model with a learned posterior; its bound is exact|
| `ica.py`               | `fastica`, the Amari index, `ICA`: a linear flow to independent sources |
| `sparse_coding.py`     | `ista`, `fista`: few active causes for a given dictionary               |
| `dictionary.py`        | `DictionaryLearner`: the dictionary itself, online                      |
| `filters.py`           | how much an atom looks like an edge: its place and its orientation      |
| `noisy_or.py`          | `NoisyOr`: causes and findings that are there or not; quickscore        |
| `noisy_or_bounds.py`   | bounds on it from above and below, by convexity                         |
"""
