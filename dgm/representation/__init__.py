"""What makes codes: learners without a density, and a map that moves codes and no likelihood.

| file                   | idea                                                              |
|------------------------|-------------------------------------------------------------------|
| `winding.py`           | turns of pairs of entries: equal log p(x), codes nobody can read  |
| `views.py`             | random looks at a picture                                         |
| `contrastive.py`       | two views of one picture among views of others: InfoNCE           |
| `masked_prediction.py` | hidden patches, predicted from a code of the rest                 |
"""
