"""Five ways to infer a layer z, given the state h above it and the features d of x below it.

Each is called with (h, d, prior) and gives a law of z as the prior does: an object with ``mean``
and ``log_var`` (B, C, ...) that has ``_replace``. `FromBelow`: Rezende et al. (2014),
arXiv:1401.4082. `PrecisionWeighted`: Sonderby et al. (2016), arXiv:1602.02282, eqs. 6-8.
`SumOfBoth`: Kingma et al. (2016), arXiv:1606.04934, appendix C. `ResidualNormal`: Vahdat and Kautz
(2020), arXiv:2007.03898, section 3.2. `FromBoth`: Child (2021), arXiv:2011.10650, figure 3.
Needs torch only.
"""

import torch
from torch import Tensor, nn


class FromBelow(nn.Module):
    """q(z|d): what x says, whatever is above.

    Parameters
    ----------
    head : nn.Module
        Features d (B, ...) -> a law of z.
    """

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, d: Tensor, prior: object) -> object:
        """State h, features d (B, ...) and p(z|h) -> q(z)."""
        return self.head(d)


class PrecisionWeighted(nn.Module):
    """Ladder: the product of what x says and the prior, weighted by their precisions.

    1 / var = 1 / var_x + 1 / var_p, and the mean is that of the two means with weights var / var_x
    and var / var_p: q can never be wider than the prior.
    """

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, d: Tensor, prior: object) -> object:
        """State h, features d (B, ...) and p(z|h) -> q(z)."""
        said = self.head(d)
        weight = torch.sigmoid(prior.log_var - said.log_var)  # of what x says
        mean = weight * said.mean + (1 - weight) * prior.mean
        return prior._replace(mean=mean, log_var=-torch.logaddexp(-said.log_var, -prior.log_var))


class SumOfBoth(nn.Module):
    """ResNet VAE: means and log variances are sums of a part from above and one from below."""

    def __init__(self, above: nn.Module, below: nn.Module):
        super().__init__()
        self.above, self.below = above, below

    def forward(self, h: Tensor, d: Tensor, prior: object) -> object:
        """State h, features d (B, ...) and p(z|h) -> q(z)."""
        a, b = self.above(h), self.below(d)
        return prior._replace(mean=a.mean + b.mean, log_var=a.log_var + b.log_var)


class ResidualNormal(nn.Module):
    """NVAE: q is the prior, moved by a shift and widened by a factor: N(m + dm, v * dv).

    Where the network is silent q is the prior, and the layer costs nothing.
    """

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, d: Tensor, prior: object) -> object:
        """State h, features d (B, ...) and p(z|h) -> q(z)."""
        change = self.head(torch.cat((h, d), 1))
        mean, log_var = prior.mean + change.mean, prior.log_var + change.log_var
        return prior._replace(mean=mean, log_var=log_var)


class FromBoth(nn.Module):
    """Very deep VAE: one network of what is above and what is below."""

    def __init__(self, head: nn.Module):
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, d: Tensor, prior: object) -> object:
        """State h, features d (B, ...) and p(z|h) -> q(z)."""
        return self.head(torch.cat((h, d), 1))
