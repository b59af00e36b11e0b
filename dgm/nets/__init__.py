"""Networks that parameterise the models; nothing here knows of probability.

| file        | network                                                       |
|-------------|---------------------------------------------------------------|
| `mlp.py`    | plain and residual perceptrons                                |
| `resnet.py` | gated residual convolutions                                   |
| `conv.py`   | residual encoder and decoder between images and codes         |
"""
