"""Linear codes: causes that are mixed by a matrix, and how to read them back.

| file                   | what it holds                                                           |
|------------------------|-------------------------------------------------------------------------|
| `pca.py`               | `PCA`: the directions of largest variance                              |
| `linear_autoencoder.py`| `LinearAutoencoder`: two matrices by gradient; the same span, other axes|
| `probabilistic_pca.py` | `ProbabilisticPCA`: PCA with a density, in closed form                  |
| `linear_vae.py`        | `LinearVAE`: the same model with a learned posterior; its bound is exact|
| `ica.py`               | `fastica`, `ICA`: a linear flow to independent sources                  |
| `sparse_coding.py`     | `ista`, `fista`: few active causes for a given dictionary               |
| `exact_codes.py`       | `exact_codes`: the same to rounding, by solving for the active causes   |
| `dictionary.py`        | `DictionaryLearner`: the dictionary itself, online                      |
| `noisy_or.py`          | `NoisyOr`: causes and findings that are there or not; quickscore        |
| `noisy_or_bounds.py`   | bounds on it from above and below, by convexity                         |
"""
