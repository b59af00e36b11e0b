"""Richer posteriors and priors of a VAE: layers on top of a Gaussian, mixtures of posteriors.

| file                        | idea                                                          |
|-----------------------------|---------------------------------------------------------------|
| `flow_posterior.py`         | a Gaussian and invertible layers on top of it, as q(z given x) |
| `full_covariance.py`        | a Gaussian with a full covariance, as q(z given x)            |
| `householder.py`            | reflections: the axes of a Gaussian turn, its volume stays    |
| `planar.py`                 | planar layers: one hidden unit each                           |
| `sylvester.py`              | Sylvester layers: many units, a determinant of M numbers      |
| `inverse_autoregressive.py` | IAF layers: each coordinate gated by those before it          |
| `vamp_prior.py`             | a prior made of the posteriors of learned pseudo-inputs       |
"""
