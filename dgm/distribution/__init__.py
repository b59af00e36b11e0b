"""Distributions that torch lacks, and bases for flows and priors.

| file             | idea                                                              |
|------------------|-------------------------------------------------------------------|
| `normal.py`      | the standard normal of any shape, the usual base                  |
| `logistic.py`    | the standard logistic, NICE's base                                |
| `gaussian.py`    | a Gaussian with a full covariance                                 |
| `level_table.py` | independent pixels, one table of level frequencies each           |
| `likelihood.py`  | Bernoulli, binomial, categorical, Gaussian p(x given z)           |
| `discretized_logistic.py` | mixtures of logistics cut into bins                      |
| `binned_gaussian.py`      | a Gaussian p(x given z) of integers, cut into bins       |
| `conditional.py` | softmax and Gaussian heads: p(y given x) from a network           |
| `slerp.py`       | interpolation of Gaussian codes along a great circle              |
| `divergence.py`  | the alpha-divergences, with both directions of KL as ends         |
| `frechet.py`     | the Frechet distance of the Gaussians fitted to two samples       |
"""
