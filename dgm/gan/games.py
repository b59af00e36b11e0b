"""What the two players of a GAN minimise, as functions of the critic's logits.

A logit above zero says "real"; D(x) = sigmoid(logit). All values are nats per pair (the Wasserstein
ones have the critic's unit). Minimax and non-saturating: Goodfellow et al. (2014), arXiv:1406.2661,
eq. 1 and section 3. Wasserstein: Arjovsky et al. (2017), arXiv:1701.07875, eq. 2. Relativistic
pairs: Jolicoeur-Martineau (2018), arXiv:1807.00734; Huang et al. (2024), arXiv:2501.05441, eq. 2.
Needs torch only.
"""

from torch import Tensor
from torch.nn.functional import softplus


class Minimax:
    """The critic classifies, -log D(x) - log(1 - D(G(z))); the generator lowers log(1 - D(G(z))).

    >>> Minimax().critic(torch.zeros(1), torch.zeros(1))  # nothing to tell: 2 log 2
    tensor([1.3863])
    """

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Logits (B,) of data and of fakes -> (B,): minus the value of the game."""
        return softplus(-real) + softplus(fake)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """log(1 - D): flat where the critic is sure of a fake, its slope there is -D."""
        return -softplus(fake)


class NonSaturating(Minimax):
    """The same critic; the generator lowers -log D(G(z)), steep where the critic is sure."""

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-log D (B,): its slope in the logit is -(1 - D)."""
        return softplus(-fake)


class Wasserstein:
    """The critic spreads its two means apart; under slope 1 that is the distance W1."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """Values (B,) of data and of fakes -> (B,); minus its mean estimates W1."""
        return fake - real

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus what the critic says of fakes (B,)."""
        return -fake


class RelativisticPair:
    """Is this real one more real than that fake? Both players see the difference of the logits."""

    def critic(self, real: Tensor, fake: Tensor) -> Tensor:
        """-log sigmoid(real - fake), (B,)."""
        return softplus(fake - real)

    def generator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-log sigmoid(fake - real), (B,)."""
        return softplus(real - fake)
