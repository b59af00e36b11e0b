"""Variational autoencoders: a latent-variable model and an approximate posterior, trained together.

| file                     | idea                                                            |
|--------------------------|-----------------------------------------------------------------|
| `vae.py`                 | the model and its bounds: ELBO and importance-weighted          |
| `gaussian_posterior.py`  | q(z given x): a Gaussian whose mean and scale a network reads   |
| `gradient_estimators.py` | score function against reparameterisation                       |
| `active_units.py`        | which latent units carry information: posterior collapse, seen  |
"""
