"""Joint models of an example and its class.

| file                       | idea                                                    |
|----------------------------|---------------------------------------------------------|
| `generative_classifier.py` | p(x, y) = p(y) p(x given y), one density per class      |
| `shared_trunk.py`          | p(y given x) and p(x) as two heads on one trunk         |
"""
