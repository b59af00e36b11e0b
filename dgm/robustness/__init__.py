"""Classifiers made of p(x | y), and attacks on any classifier.

| file                        | what it holds                                               |
|-----------------------------|-------------------------------------------------------------|
| `class_conditional_flow.py` | log p(x, y) by a flow over a base that knows the class      |
| `analysis_by_synthesis.py`  | one VAE for each class, the best code of each decides       |
| `cw_l2.py`                  | Carlini and Wagner: the nearest adversarial picture         |
| `boundary_attack.py`        | a walk along the border that sees decisions only            |
| `pgd_l2.py`                 | projected gradient ascent in a Euclidean ball               |
| `detector.py`               | a threshold on the likelihood of the class predicted        |
"""
