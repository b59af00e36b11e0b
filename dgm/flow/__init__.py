"""Flows: exact densities by a change of variables.

| file                         | idea                                                              |
|------------------------------|-------------------------------------------------------------------|
| `flow.py`                    | a stack of invertible layers over a base density                  |
| `coupling.py`                | additive (NICE) and affine (RealNVP) couplings of two halves      |
| `masked_coupling.py`         | RealNVP's couplings with checkerboard and channel masks           |
| `mixture_coupling.py`        | Flow++: mixture-of-logistics couplings, inverted by bisection     |
| `transform_coupling.py`      | a coupling with any elementwise map                               |
| `spline.py`                  | such maps: rational-quadratic splines, and scale and shift        |
| `masked_autoregressive.py`   | MAF: every feature by a map that those before it choose           |
| `actnorm.py`                 | Glow's activation normalisation                                   |
| `invertible_conv.py`         | Glow's 1x1 convolution, LU parameterised                          |
| `convolution_exponential.py` | the exponential of a convolution                                  |
| `emerging.py`                | invertible k x k convolutions: emerging, periodic                 |
| `generalised_sylvester.py`   | a triangular step in a basis of its own                           |
| `multiscale.py`              | squeeze, and leave half of the dimensions behind at every level   |
| `elementwise.py`             | logit, diagonal scaling, reversal                                 |
| `marginal.py`                | every entry through the CDF of its own histogram, then a logit    |
| `normal_scores.py`           | from the logistic scale to the normal one                         |
| `dequantize.py`              | bounds for integer data: uniform and variational noise            |
"""
