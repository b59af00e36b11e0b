"""What a classifier's logits say of the picture: the largest probability, and the free energy.

Hendrycks and Gimpel (2017), arXiv:1610.02136, section 2; Liu et al. (2020), arXiv:2010.03759,
eqs. 4 and 8. Needs torch only. These need labels: a control for scores that do not.
"""

from torch import Tensor


def _class_logits(logits: Tensor) -> Tensor:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
        got = getattr(logits, "shape", type(logits).__name__)
        raise ValueError(f"logits must be (B, K >= 2), got {got}")
    return logits


def max_softmax(logits: Tensor) -> Tensor:
    """Probability of the class named (B,), from logits (B, K).

    >>> import torch
    >>> max_softmax(torch.tensor([[0.0, 0.0]]))
    tensor([0.5000])
    """
    return _class_logits(logits).softmax(1).amax(1)


def free_energy_score(logits: Tensor) -> Tensor:
    """log sum exp of the logits (B,): minus the energy of x, by a classifier read as a density.

    >>> import torch
    >>> free_energy_score(torch.tensor([[1.0, 1.0]])) - 1
    tensor([0.6931])
    """
    return _class_logits(logits).logsumexp(1)
