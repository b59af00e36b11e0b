"""Entropy coding with any likelihood: pictures to bytes and back, without loss.

| file                 | what it holds                                                         |
|----------------------|-----------------------------------------------------------------------|
| `integer_table.py`   | probabilities as whole numbers, the same on every machine             |
| `rans.py`            | a stack of bits in ten lines: asymmetric numeral systems              |
| `bit_stack.py`       | the same stack at speed (constriction), and its scrambling            |
| `bit_meter.py`       | what a code would take, example by example, without writing it        |
| `chain_codec.py`     | chain rule: place by place, encoder and decoder in step               |
| `rounded_coupling.py`| a coupling of whole numbers, which undoes itself exactly              |
| `integer_flow.py`    | levels of such couplings, each leaving some entries to a logistic law |
| `flow_codec.py`      | the code of such a flow                                               |
| `buckets.py`         | reals cut into buckets, and Gaussians as tables over them             |
| `bits_back.py`       | a latent variable's code: what it costs is got back                   |
| `bit_swap.py`        | the same over a chain of latent layers, one at a time                 |
| `top_down_codec.py`  | the same where layers are inferred from the top                       |
| `mixture_codec.py`   | bits back over the components of a mixture                            |
| `order_codec.py`     | absorbing diffusion: entries in an agreed order                       |
| `container.py`       | bytes that say what they are, and are refused when they are not       |
| `__main__.py`        | the door to ``python -m dgm.compression pack`` and ``unpack``         |
"""
