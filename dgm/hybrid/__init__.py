"""Hybrid models: one model of pictures x and classes y, by a flow or by latent codes.

| file                 | idea                                                                  |
|----------------------|-----------------------------------------------------------------------|
| `hybrid_flow.py`     | p(x) by an invertible map, p(y given x) by a linear map of its code   |
| `hybrid_vae.py`      | a VAE whose code also tells the class                                 |
| `m2.py`              | the class as a latent variable that some examples show                |
| `semi_supervised.py` | the objective of few labels and many pictures; who has a label        |
| `diva.py`            | codes of the domain, of the class and of all the rest                 |
"""
