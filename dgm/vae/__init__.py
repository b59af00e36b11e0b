"""Variational autoencoders: a latent-variable model and an approximate posterior, trained together.

| file                     | idea                                                            |
|--------------------------|-----------------------------------------------------------------|
| `vae.py`                 | the model and its bounds: ELBO and importance-weighted          |
| `gaussian_posterior.py`  | q(z given x): a Gaussian whose mean and scale a network reads   |
| `gradient_estimators.py` | score function against reparameterisation                       |
| `active_units.py`        | which latent units carry information: posterior collapse, seen  |
| `window_likelihood.py`   | a decoder that sees earlier pixels, and may do without its code |
| `expected_terms.py`      | the terms of the bound by quadrature instead of draws           |
| `flow_posterior.py`      | a Gaussian and invertible layers on top of it, as q(z given x)  |
| `householder.py`         | reflections: a Gaussian posterior with a full covariance        |
| `planar.py`              | planar layers: one hidden unit each                             |
| `sylvester.py`           | Sylvester layers: many units, a determinant of M numbers        |
| `inverse_autoregressive.py` | IAF layers: each coordinate gated by those before it         |
| `vamp_prior.py`          | a prior made of the posteriors of learned pseudo-inputs         |
| `autoregressive_prior.py` | a prior that draws one coordinate of the code after the other  |
| `four_sensors.py`        | four true posteriors on the plane: what a q(z given x) must fit |
"""
