"""Distributions that torch lacks, bases for flows and priors, and the data a model is of.

| file                      | idea                                                     |
|---------------------------|----------------------------------------------------------|
| `support.py`              | `Levels` and `Reals`: what x is, checked and scaled      |
| `normal.py`               | the standard normal of any shape, the usual base         |
| `logistic.py`             | the standard logistic, NICE's base                       |
| `gaussian.py`             | a Gaussian with a full covariance                        |
| `level_table.py`          | independent pixels, one table of level frequencies each  |
| `likelihood.py`           | Bernoulli, binomial, categorical, Gaussian p(x given z)  |
| `discretized_logistic.py` | mixtures of logistics cut into bins                      |
| `binned_gaussian.py`      | a Gaussian p(x given z) of integers, cut into bins       |
| `conditional.py`          | softmax and Gaussian heads: p(y given x) from a network  |
"""
