"""The stack of bits that codecs push symbols on and pop them from, at the speed of compiled code.

Asymmetric numeral systems by constriction (Bamler 2022, arXiv:2201.01741); bits back and its dirty
bits: Townsend, Bird and Barber (2019), arXiv:1901.04866. Needs torch and constriction.
"""

import hashlib
import sys
from array import array
from collections.abc import Callable

import constriction
import torch
from torch import Tensor


def _keystream(key: str, n: int) -> Tensor:
    """n words that look random, int32, the same on every machine."""
    digest = hashlib.shake_256(key.encode()).digest(4 * n)
    words = array("i", digest)
    if sys.byteorder == "big":
        words.byteswap()
    return torch.tensor(words.tolist(), dtype=torch.int32)


class BitStack:
    """Bits, last in first out: ``push`` writes symbols, ``pop`` reads them, or draws from a law.

    Parameters
    ----------
    table : callable
        ``table(log_p (N, K))`` are whole frequencies (N, K) that sum to 2^24, 1 or more each
        (integer_table.py).
    content : bytes
        What lies on the stack, as ``to_bytes`` gives it; nothing when left out.

    Raises
    ------
    ValueError
        content cannot come from such a stack.

    Examples
    --------
    >>> from dgm.compression.integer_table import IntegerTable
    >>> stack, log_p = BitStack(IntegerTable()), torch.zeros(3, 4)  # two bits a symbol
    >>> stack.push(torch.tensor([3, 1, 2]), log_p)
    >>> stack.pop(log_p)
    tensor([3, 1, 2])
    """

    def __init__(self, table: Callable[[Tensor], Tensor], content: bytes = b""):
        self.table = table
        self.family = constriction.stream.model.Categorical(perfect=False)
        if len(content) % 4 or (content and not any(content[-4:])):
            raise ValueError(
                f"content must be whole words, the last not 0, got {len(content)} bytes"
            )
        words = array("I", content)
        if sys.byteorder == "big":
            words.byteswap()
        self._load(torch.tensor(words.tolist(), dtype=torch.int64).to(torch.int32))

    def _load(self, words: Tensor) -> None:
        """Start over with these words, int32 (W,)."""
        coder = constriction.stream.stack.AnsCoder
        self.coder = coder(words.view(torch.uint32).numpy()) if len(words) else coder()

    def _words(self) -> Tensor:
        """What lies on the stack, int32 (W,)."""
        return torch.from_numpy(self.coder.get_compressed()).view(torch.int32)

    def _model(self, log_p: Tensor) -> object:
        """The tables of N symbols as constriction takes them.

        Note: constriction gives each symbol one count more than its share of the rest, so shares of
        f - 1 come out as f, exactly (a test holds its words against rans.py).
        """
        return (self.table(log_p) - 1).double().numpy()

    def push(self, symbols: Tensor, log_p: Tensor) -> None:
        """Write symbols (N,) of laws with log masses (N, K), the last one first.

        Raises
        ------
        ValueError
            A symbol outside 0 .. K-1, or not one for each law.
        """
        if symbols.shape != log_p.shape[:1] or symbols.is_floating_point():
            got = f"{symbols.dtype} {tuple(symbols.shape)}"
            raise ValueError(f"symbols must be {len(log_p)} integers, one a law, got {got}")
        if len(symbols) == 0:
            return
        if not 0 <= int(symbols.min()) <= int(symbols.max()) < log_p.shape[1]:
            low, high = int(symbols.min()), int(symbols.max())
            raise ValueError(f"symbols must be 0 .. {log_p.shape[1] - 1}, got {low} .. {high}")
        self.coder.encode_reverse(symbols.int().numpy(), self.family, self._model(log_p))

    def pop(self, log_p: Tensor) -> Tensor:
        """Read symbols int64 (N,) of laws with log masses (N, K), the first one first.

        Of an empty stack every symbol is the one whose share contains zero, the first.
        """
        if len(log_p) == 0:
            return torch.zeros(0, dtype=torch.int64)
        return torch.from_numpy(self.coder.decode(self.family, self._model(log_p))).long()

    @property
    def bits(self) -> int:
        """Bits on the stack."""
        return self.coder.num_valid_bits()

    def to_bytes(self) -> bytes:
        """What lies on the stack: words of four bytes, the least one first."""
        words = array("I", [word & 0xFFFFFFFF for word in self._words().tolist()])
        if sys.byteorder == "big":
            words.byteswap()
        return words.tobytes()

    def fill(self, n_words: int, key: str) -> None:
        """Lay ``n_words`` words that look random on an empty stack: the first draws live on them.

        Raises
        ------
        ValueError
            The stack is not empty.
        """
        if not self.coder.is_empty():
            raise ValueError(f"fill is for an empty stack, this one holds {self.bits} bits")
        words = _keystream(key, n_words)
        self._load(torch.where(words == 0, 1, words))  # the top word is never 0

    def scramble(self, key: str, depth: int = 256) -> None:
        """Mix the top words with a stream that looks random; the same call undoes it.

        What was pushed last is not random to the law that is popped next (dirty bits); now it is.
        The word on top stays, and so does the number of words.
        """
        words = self._words().clone()
        n = min(depth, len(words) - 1)
        if n > 0:
            words[-1 - n : -1] ^= _keystream(key, n)
            self._load(words)
