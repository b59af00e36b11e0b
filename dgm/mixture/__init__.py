"""Mixtures: sums of simple densities, the simplest models with a latent variable.

| file                     | what it holds                                                         |
|--------------------------|-----------------------------------------------------------------------|
| `gaussian_mixture.py`    | `GaussianMixture`: real values; EM, gradient, floor on the variance   |
| `categorical_mixture.py` | `CategoricalMixture`: integers (two levels: Bernoulli); exact mass    |
| `discretized_mixture.py` | `DiscretizedMixture`: Gaussians cut into bins; exact mass of integers |
| `kernel_density.py`      | `KernelDensity`, `PixelKernelDensity`: the memorisers                 |
| `deep_mixture.py`        | `DeepMixture`: a network turns codes into components                  |
"""
