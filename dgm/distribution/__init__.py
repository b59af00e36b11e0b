"""Distributions that torch lacks, and bases for flows and priors.

| file             | idea                                                              |
|------------------|-------------------------------------------------------------------|
| `normal.py`      | the standard normal of any shape, the usual base                  |
| `logistic.py`    | the standard logistic, NICE's base                                |
"""
