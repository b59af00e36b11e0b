"""Variational autoencoders: a latent-variable model and an approximate posterior, trained together.

| file                     | idea                                                               |
|--------------------------|--------------------------------------------------------------------|
| `vae.py`                 | the model and its bounds: ELBO and importance-weighted             |
| `gaussian_posterior.py`  | q(z given x): a Gaussian whose mean and scale a network reads off x |
| `importance_weighted.py` | the bound with several draws as what is trained                    |
| `gradient_estimators.py` | score function against reparameterisation                          |
| `window_decoder.py`      | a decoder that sees earlier pixels, and may do without its code    |
| `expected_terms.py`      | the terms of the bound by quadrature instead of draws              |
"""
