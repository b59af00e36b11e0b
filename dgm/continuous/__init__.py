"""Continuous flows: data follow an ordinary differential equation to a base density.

| file               | idea                                                                      |
|--------------------|---------------------------------------------------------------------------|
| `solver.py`        | an adaptive or fixed-step solver, its evaluations counted                 |
| `trace.py`         | the divergence of a field: exact, or by one noise for a whole solve       |
| `ode_layer.py`     | from time 1 to time 0 along a field, with log-determinant and energy      |
| `ffjord.py`        | such a layer over a base: exact density, kinetic penalty in its loss      |
| `flow_matching.py` | the same field by regression, no solver in training                       |
"""
