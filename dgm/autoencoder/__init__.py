"""Autoencoders: a code there, a reconstruction back, and what forbids the identity between them.

| file             | what it holds                                                      |
|------------------|--------------------------------------------------------------------|
| `autoencoder.py` | two networks and the squared error; narrow codes make a bottleneck |
| `tied.py`        | one set of weights for both ways                                   |
| `sparse.py`      | a price on active units (firing rate, L1), and the k largest only  |
| `denoising.py`   | corrupt the input, ask for the clean one; residual and score       |
| `stochastic.py`  | noise in the code                                                  |
| `spiking.py`     | leaky integrate-and-fire neurons with surrogate gradients          |
"""
