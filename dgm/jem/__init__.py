"""Classifiers that are densities too: one network for p(y | x) and for p(x).

| file                 | idea                                                              |
|----------------------|-------------------------------------------------------------------|
| `joint_energy.py`    | the logits of a classifier as minus an energy of x and y (JEM)    |
| `langevin_replay.py` | chains that go on from update to update, and walk in a box        |
| `class_gaussians.py` | the law such a model departs from, where its chains begin         |
"""
