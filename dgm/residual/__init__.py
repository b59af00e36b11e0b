"""Residual flows: x + g(x) can be undone where g shrinks distances.

| file                | idea                                                                |
|---------------------|---------------------------------------------------------------------|
| `spectral.py`       | linear and convolutional layers of operator norm below one          |
| `lip_swish.py`      | LipSwish and CLipSwish: activations of slope below one              |
| `contractive.py`    | networks of Lipschitz constant below one: plain, densely connected  |
| `n_terms.py`        | fixed and random numbers of terms (Russian roulette)                |
| `log_det.py`        | log-determinants: dense, by power series, with the Neumann gradient |
| `block.py`          | the residual block: fixed-point inverse                             |
| `unbiased_bound.py` | what is honest if log-determinants are estimated                    |
"""
