"""Autoregressive models: exact probabilities, one variable at a time.

| file                | idea                                                                  |
|---------------------|-----------------------------------------------------------------------|
| `tabular.py`        | the chain rule itself: one table per variable, in any order           |
| `autoregressive.py` | p(x) out of any causal network, in any order, with labels             |
| `law.py`            | one value given those before it: levels, mixtures                     |
| `order_ensemble.py` | one network for all orders, its probabilities averaged                |
| `linear.py`         | linear autoregression of a time series                                |
"""
