"""Bits back over the components of a mixture: the posterior is known, so the cost is log2 p(x).

Frey and Hinton (1996), doi:10.1109/DCC.1996.488312: a free choice of code words carries bits.
Needs torch only.
"""

import torch
from torch import Tensor


class MixtureCodec:
    """Pictures on a stack of bits by sum_k w_k prod_d p_kd(x_d), and back.

    A picture: pop a component k from p(k|x), push x by the tables of k, push k by the weights. In
    the mean that takes -log2 p(x), not -log2 of the largest term.

    Parameters
    ----------
    data : Levels (support.py)
        What x is: ``shape``, ``levels``, ``check(x)``, ``stored(v)``, ``count(n)``.
    log_weights : Tensor
        (K,) nats.
    table : Tensor
        (K, D, levels), log masses of every level, pixel and component.
    back : bool
        False takes the likeliest component and gets no bits back.
    """

    def __init__(self, data: object, log_weights: Tensor, table: Tensor, back: bool = True):
        if table.shape != (len(log_weights), data.dims, data.levels):
            need = (len(log_weights), data.dims, data.levels)
            raise ValueError(f"table must have shape {need}, got {tuple(table.shape)}")
        self.data, self.back = data, back
        self.log_weights = log_weights.detach().double()[None]  # (1, K)
        self.table = table.detach().double()

    def _posterior(self, x: Tensor) -> Tensor:
        """Log masses (1, K) of the components given one picture x (*shape), up to a constant."""
        places = torch.arange(self.data.dims)
        return self.log_weights + self.table[:, places, x.flatten()].sum(1)

    def encode(self, x: Tensor, stack: object) -> None:
        """Push x (N, *shape) on the stack, the last one first."""
        for n, picture in reversed(list(enumerate(self.data.check(x)))):
            log_p = self._posterior(picture)
            if self.back:
                stack.scramble(f"picture {n}")
                k = stack.pop(log_p)
            else:
                k = log_p.argmax(1)
            stack.push(picture.flatten(), self.table[k[0]])
            stack.push(k, self.log_weights)

    def decode(self, n: int, stack: object) -> Tensor:
        """Pop n pictures (n, *shape), as stored."""
        found = torch.zeros(self.data.count(n), *self.data.shape, dtype=torch.long)
        for at, x in enumerate(found):
            k = stack.pop(self.log_weights)
            x.copy_(stack.pop(self.table[k[0]]).view(self.data.shape))
            if self.back:
                stack.push(k, self._posterior(x))
                stack.scramble(f"picture {at}")
        return self.data.stored(found)
