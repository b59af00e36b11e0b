"""Latent codes that are counted, not measured: codebooks, and estimators for categorical draws.

| file               | what it holds                                                           |
|--------------------|-------------------------------------------------------------------------|
| `codebook.py`      | nearest vectors, straight-through, moving averages, restarts, k-means   |
| `two_level.py`     | a coarse map of codes above a fine one, and the prior of both: VQ-VAE-2 |
| `vq_vae.py`        | VQ-VAE: encoder, codebook, decoder and prior, and their honest bound    |
| `gumbel.py`        | draws of a categorical law that can be differentiated                   |
| `categorical.py`   | a VAE of categorical codes, trained on relaxed draws or by the score    |
| `estimators.py`    | gradients of an expectation over codes: enumerated, relaxed, by score   |
| `usage.py`         | how often codes are used, and how many that amounts to                  |
"""
