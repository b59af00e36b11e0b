"""Hierarchical VAEs: layers of hidden causes, and who may look at whom to infer them.

| file                | idea                                                                    |
|---------------------|-------------------------------------------------------------------------|
| `top_down.py`       | the model: an upward pass, a downward pass, the bounds, the draws       |
| `layer.py`          | one layer: its prior, its posterior, what it leaves above and below it  |
| `layer_gaussian.py` | a diagonal Gaussian over a layer, and the networks' numbers it is of    |
| `inference.py`      | five ways to infer a layer: below, both, sum, precision-weighted, residual |
| `state.py`          | three ways a layer enters the state: replaced, joined, added            |
| `skipping.py`       | an optimiser that leaves out steps with a huge gradient                 |
"""
