"""Disentanglement: codes whose entries are the factors of the world; prices, and how to score them.

| file                      | idea                                                               |
|---------------------------|--------------------------------------------------------------------|
| `priced_vae.py`           | a VAE whose loss pays for its code: beta-VAE                       |
| `annealed_capacity.py`    | the KL held at a value that rises                                  |
| `critic_price.py`         | FactorVAE: total correlation by a critic                           |
| `minibatch_price.py`      | beta-TCVAE: total correlation from one batch                       |
| `covariance_price.py`     | DIP-VAE I and II: the covariance of codes drawn to the identity    |
| `info_gan.py`             | a GAN with entries that can be read back                           |
| `rotated_code.py`         | the same p(x) with its code turned                                 |
| `total_correlation.py`    | nats that codes share, in closed form for Gaussians                |
| `shared_factor_scores.py` | BetaVAE score and FactorVAE score                                  |
| `information_scores.py`   | mutual information gap and modularity                              |
| `dci.py`                  | disentanglement, completeness, informativeness by trees            |
| `separated_attribute.py`  | SAP: the best single code against the second best                  |
| `interventional.py`       | IRS: how little a code moves when other factors do                 |
"""
