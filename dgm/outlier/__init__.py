"""Out of distribution: is this picture of the kind the model has learned?

| file                  | idea                                                                  |
|-----------------------|-----------------------------------------------------------------------|
| `second_moment.py`    | which data a density prefers, from first and second moments alone     |
| `biased_bits.py`      | an exact world whose most likely states are never seen                |
| `typicality.py`       | is the likelihood of a batch an usual one? neither too low nor high   |
| `likelihood_ratio.py` | what a model knows beyond a model of spoilt pictures                  |
| `input_complexity.py` | what a model knows beyond a general code for pictures                 |
| `doubt.py`            | what models of several trainings agree on                             |
| `regret.py`           | what a VAE gains on one picture when its posterior is fitted to it    |
| `upper_layers.py`     | what the low layers of a hierarchy say that the high do not foresee   |
| `class_scores.py`     | what a classifier's answer says of the picture                        |

Each gives one number a picture. It is *higher for pictures of the kind*, but for distances, regret
and `low_layers_say`, which the chapter takes with a minus.
"""
