"""Models known up to their volume, and ways to that volume.

| file             | idea                                                              |
|------------------|-------------------------------------------------------------------|
| `quadrature.py`  | any network in 1-D or 2-D as a density, its volume on a grid      |
"""
