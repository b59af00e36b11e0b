"""Schematics of the models, a file a chapter: functions that draw one each, most from the model.

| file                | what it draws                                                   |
|---------------------|-----------------------------------------------------------------|
| `joint.py`          | two heads on a trunk, a classifier made of densities            |
| `mixture.py`        | a hidden cause, a deep mixture                                  |
| `linear.py`         | PCA, PPCA, ICA, sparse coding, noisy-OR                         |
| `autoencoder.py`    | what keeps an autoencoder from copying                          |
| `vae.py`            | the bound and its terms, importance weights                     |
| `posterior.py`      | the ladder of posteriors, the ladder of priors                  |
| `hierarchical.py`   | who is drawn on the way up, who on the way down, from the model |
| `discrete.py`       | a map of codes, two maps, a relaxed draw                        |
| `geometry.py`       | a sphere, the rotations and a curved plane as latent spaces     |
| `autoregressive.py` | the chain rule, masks of MADE, NADE, a recurrent network        |
| `pixel.py`          | masked kernels, two stacks                                      |
| `pixel_order.py`    | recurrent layers over an image, orders of pixels, upscaling     |
| `sequence.py`       | dilations, gates, LSTM, Transformer                             |
| `flow.py`           | couplings, masks, a multi-scale stack, noise                    |
| `energy.py`         | Boltzmann machines and their stacks                             |
| `jem.py`            | one network for the class and for the picture                   |
| `deep_energy.py`    | chains that run along with training, a Boltzmann generator      |
| `diffusion.py`      | a chain of noise and its way back, masks and guesses            |
| `gan.py`            | two players, and which gradient goes where                      |
| `residual.py`       | one step three times, a dense block                             |
| `hybrid.py`         | a flow with two outputs, class and style, three codes           |
| `representation.py` | two made-up tasks                                               |
| `disentanglement.py` | where the price of a code is taken                             |
| `fairness.py`       | codes beside a group, a code for each attribute                 |
| `compression.py`    | bits back on a stack, one stage of an integer flow              |
| `outlier.py`        | what a likelihood is compared with                              |
| `robustness.py`     | two ways from a picture to its class                            |
| `continuous.py`     | masked layers, a Sylvester step, likelihood and flow matching   |
| `layers.py`         | the layers of any network                                       |
"""
