"""Autoregressive models: exact probabilities, one variable at a time.

| file                | idea                                                                  |
|---------------------|-----------------------------------------------------------------------|
| `tabular.py`        | the chain rule itself: one table per variable, in any order           |
| `factorization.py`  | p(x) out of any causal network, in any order                          |
| `conditional.py`    | what p(x_d given those before) looks like: levels, Gaussian mixtures  |
| `fvsbn.py`          | logistic and softmax regressions in a row                             |
| `nade.py`           | one hidden layer for all variables, weights shared                    |
| `made.py`           | a masked network: all conditionals in one pass, in any order          |
| `order_ensemble.py` | one network for all orders, its probabilities averaged                |
| `recurrent.py`      | RNN, GRU or LSTM along the variables                                  |
| `linear.py`         | linear autoregression of a time series                                |
| `ordering.py`       | seven orders in which to draw an image                                |
| `token_model.py`    | p(x) of tokens out of a causal network, a start symbol, caches        |
| `wavenet.py`        | dilated causal convolutions; sampling from queues                     |
| `lstm.py`           | LSTM cells over embedded tokens                                       |
| `transformer.py`    | attention with rotary positions and a key-value cache                 |
| `influence.py`      | gradients of every prediction towards every input: who sees whom      |
| `token_sampling.py` | temperature, the k likeliest tokens, the nucleus                      |
"""
