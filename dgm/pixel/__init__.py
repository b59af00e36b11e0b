"""Images one pixel after the other: in which order, and by which models after each other.

| file                  | idea                                                                 |
|-----------------------|----------------------------------------------------------------------|
| `ordering.py`         | the orders in which to draw an image: raster, subscale, upscaling    |
| `size_upscaling.py`   | first a small image, then the pixels between                         |
| `depth_upscaling.py`  | first the high bits of every pixel, then the low ones                |

The chain rule itself is dgm/autoregressive; the causal networks stand in dgm/nets.
"""
