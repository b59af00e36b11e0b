"""The joint p(x, y) and what it takes to get p(x): the models of the first chapter.

| file                       | idea                                                            |
|----------------------------|-----------------------------------------------------------------|
| `generative_classifier.py` | p(x, y) = p(y) p(x given y), one density per class              |
| `shared_trunk.py`          | p(y given x) and p(x) as two heads on one trunk                 |
| `quadrature.py`            | any network in 1-D or 2-D as a density, its volume on a grid    |
"""
