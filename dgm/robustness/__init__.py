"""Attacks on classifiers.

| file     | idea                                                                     |
|----------|--------------------------------------------------------------------------|
| `pgd.py` | the worst picture within a small box, by steps along the sign of a slope |
"""
