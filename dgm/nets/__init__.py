"""Networks that parameterise the models; nothing here knows of probability.

| file        | network                                                       |
|-------------|---------------------------------------------------------------|
| `mlp.py`    | plain and residual perceptrons                                |
| `resnet.py` | gated residual convolutions                                   |
| `conv.py`   | residual encoder and decoder between images and codes         |
| `masked_mlp.py` | outputs of coordinate i see the inputs before i only      |
| `level_logits.py` | logits of ordered levels from a few numbers a pixel     |
"""
