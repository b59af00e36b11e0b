"""Autoregressive models: exact probabilities, one variable at a time.

| file                | idea                                                                  |
|---------------------|-----------------------------------------------------------------------|
| `tabular.py`        | the chain rule itself: one table per variable, in any order           |
| `factorization.py`  | p(x) out of any causal network, in any order                          |
| `conditional.py`    | what p(x_d given those before) looks like: levels, Gaussian mixtures  |
| `fvsbn.py`          | logistic and softmax regressions in a row                             |
| `nade.py`           | one hidden layer for all variables, weights shared                    |
| `made.py`           | a masked network: all conditionals in one pass, in any order          |
| `recurrent.py`      | RNN, GRU or LSTM along the variables                                  |
| `linear.py`         | linear autoregression of a time series                                |
| `ordering.py`       | seven orders in which to draw an image                                |
"""
