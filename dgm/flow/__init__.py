"""Flows: exact densities by a change of variables.

| file                  | idea                                                               |
|-----------------------|--------------------------------------------------------------------|
| `flow.py`             | a stack of invertible layers over a base density                   |
| `coupling.py`         | additive (NICE) and affine (RealNVP) couplings of two halves       |
| `masked_coupling.py`  | RealNVP's couplings with checkerboard and channel masks            |
| `mixture_coupling.py` | Flow++: mixture-of-logistics couplings, inverted by bisection      |
| `actnorm.py`          | Glow's activation normalisation                                    |
| `invertible_conv.py`  | Glow's 1x1 convolution, LU parameterised                           |
| `multiscale.py`       | squeeze, and leave half of the dimensions behind at every level    |
| `elementwise.py`      | logit, diagonal scaling, reversal                                  |
| `marginal.py`         | every entry through the CDF of its own histogram, then a logit     |
| `dequantize.py`       | bounds for integer data: uniform and variational noise             |
"""
