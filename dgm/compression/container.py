"""The bytes of a file: what made them, what they hold, and checks that refuse everything else.

Digests: BLAKE2b, Aumasson et al. (2013), RFC 7693. Needs torch only.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

MAGIC, VERSION, DIGEST = b"DGMC", 1, 8  # 8 bytes: a random change passes once in 10^19 trials


def model_digest(model: nn.Module) -> bytes:
    """8 bytes over names, shapes, types and values of everything the model has learned."""
    digest = hashlib.blake2b(digest_size=DIGEST)
    for name, value in sorted(model.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(value.shape)} {value.dtype};".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.digest()


def data_digest(x: Tensor) -> bytes:
    """8 bytes over the shape and the values of integers x (N, *shape), whatever their type."""
    digest = hashlib.blake2b(str(tuple(x.shape)).encode(), digest_size=DIGEST)
    digest.update(x.to(torch.int32).contiguous().numpy().tobytes())
    return digest.digest()


class Container(NamedTuple):
    """A stream of bits with all that is needed to read it, or to refuse to.

    ``model`` names the system, ``made_by`` is its `model_digest`, ``shape`` that of the data
    (N, ...), ``holds`` their `data_digest`, ``note`` what else a reader must know.

    Examples
    --------
    >>> packed = Container("made digits", bytes(8), (3, 1, 8, 8), bytes(8), b"bits")
    >>> len(packed.to_bytes()), Container.from_bytes(packed.to_bytes()) == packed
    (70, True)
    """

    model: str
    made_by: bytes
    shape: tuple[int, ...]
    holds: bytes
    stream: bytes
    note: bytes = b""

    def to_bytes(self) -> bytes:
        """All of it, least byte first, with a digest at the end."""
        name = self.model.encode()
        head = struct.pack("<4sBBB", MAGIC, VERSION, len(name), len(self.shape)) + name
        sizes = len(self.note), len(self.stream)
        head += struct.pack(f"<{len(self.shape)}III", *self.shape, *sizes)
        body = head + self.made_by + self.holds + self.note + self.stream
        return body + hashlib.blake2b(body, digest_size=DIGEST).digest()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Container":
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            content is of another kind or version, cut short, longer than it says, or damaged.
        """
        if content[:4] != MAGIC:
            raise ValueError(f"content is no packed data: it begins with {content[:4]!r}")
        if len(content) < 7:
            raise ValueError(f"content is cut short: {len(content)} bytes are no header")
        if content[4] != VERSION:
            raise ValueError(f"content is of version {content[4]}, this code reads {VERSION}")
        # sizes that the first bytes promise
        n_name, n_sides = content[5], content[6]
        fixed = 7 + n_name + 4 * n_sides + 8
        if len(content) < fixed:
            raise ValueError(f"content is cut short: {len(content)} bytes of a header of {fixed}")
        *shape, n_note, n_stream = struct.unpack_from(f"<{n_sides}III", content, 7 + n_name)
        need = fixed + 3 * DIGEST + n_note + n_stream
        if len(content) != need:
            word = "cut short" if len(content) < need else "too long"
            raise ValueError(f"content is {word}: {len(content)} bytes, it says {need}")
        body, digest = content[:-DIGEST], content[-DIGEST:]
        if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
            raise ValueError("content is damaged: it does not match its digest")
        # the parts
        ends = [fixed + DIGEST, fixed + 2 * DIGEST, fixed + 2 * DIGEST + n_note, len(body)]
        starts = [fixed, *ends[:-1]]
        made_by, holds, note, stream = (body[a:b] for a, b in zip(starts, ends, strict=True))
        return cls(body[7 : 7 + n_name].decode(), made_by, tuple(shape), holds, stream, note)


def write_packed(
    name: str, made_by: bytes, codec: object, stack: object, x: Tensor, note: bytes = b""
) -> bytes:
    """x (N, *shape) as the bytes of a container.

    Parameters
    ----------
    name, made_by : what the model is called, and its `model_digest`.
    codec : ``encode(x, stack)``.
    stack : empty, or filled with bits to begin with; ``to_bytes()``.
    note : kept beside it.
    """
    codec.encode(x, stack)
    packed = Container(name, made_by, tuple(x.shape), data_digest(x), stack.to_bytes(), note)
    return packed.to_bytes()


def read_packed(
    content: bytes, made_by: bytes, codec: object, stack: Callable[[bytes], object]
) -> Tensor:
    """The data (N, *shape) in the bytes of a container; ``stack(stream)`` makes a stack.

    Raises
    ------
    ValueError
        content is refused by `Container.from_bytes`, was made by another model, or decodes to
        other data than were packed.
    """
    packed = Container.from_bytes(content)
    if packed.made_by != made_by:
        raise ValueError(f"content was made by another model, one called {packed.model!r}")
    if packed.shape[1:] != tuple(codec.data.shape):
        raise ValueError(f"content holds {packed.shape}, the model is of {codec.data.shape}")
    x = codec.decode(packed.shape[0], stack(packed.stream))
    if data_digest(x) != packed.holds:
        raise ValueError("content decodes to other data than were packed: the arithmetic differs")
    return x
