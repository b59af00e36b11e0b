"""Files from the network through pooch, or from the folder that DGM_DATA names.

A file is checked against its published checksum before it gets its name, so a broken or
truncated download never becomes a cached file.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path


class DownloadError(OSError):
    """No address gave the file, or it could not be stored; nothing half-written is left."""


def local_folder() -> Path | None:
    """The folder that the environment variable DGM_DATA names, or None if it is not set.

    Raises
    ------
    FileNotFoundError
        If it is set to something that is not a folder.
    """
    if not os.environ.get("DGM_DATA"):
        return None
    folder = Path(os.environ["DGM_DATA"]).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"DGM_DATA is set to {folder}, which is not a folder")
    return folder


def find_local(name: str, folder: Path, file: str) -> Path:
    """Path of a file of a data set below the folder of DGM_DATA; FileNotFoundError if not there."""
    if not (folder / file).is_file():
        raise FileNotFoundError(
            f"data set {name!r} is not complete in the folder of DGM_DATA: there is no "
            f"{folder / file}. Put it there, or unset DGM_DATA to download it."
        )
    return folder / file


def cache_folder() -> Path:
    """Where downloads are kept: DGM_CACHE if set, else the user's cache."""
    import pooch

    return Path(os.environ.get("DGM_CACHE") or pooch.os_cache("dgm")).expanduser()


def find_file(name: str, file: str, addresses: Sequence[str], checksum: str) -> Path:
    """Path of one file of a data set, downloaded if it is not there yet.

    Parameters
    ----------
    name : str
        Of the data set, for messages.
    file : str
        Path below DGM_DATA or the cache, such as "MNIST/raw/train-images-idx3-ubyte.gz".
    addresses : sequence of str
        Tried in this order.
    checksum : str
        "md5:..." or "sha256:..." of the file. Under DGM_DATA only files are held against it that
        carry no checksum of their own: one packed again with gzip is as good.

    Raises
    ------
    DownloadError
        Naming the set, the addresses tried and what went wrong with each.
    FileNotFoundError
        If DGM_DATA is set and the file is not in it.
    ValueError
        If the file there is not the published one.
    """
    if (folder := local_folder()) is not None:
        path = find_local(name, folder, file)
        if path.suffix not in (".gz", ".npz"):  # the reader of these verifies what it reads
            _require_digest(path, checksum)
        return path
    target = cache_folder() / file
    problems = []
    for address in addresses:
        try:
            return _retrieve(address, target, checksum)
        except (ConnectionError, ValueError) as problem:  # no network, refused, or wrong bytes
            problems.append(f"  {address}: {problem}")
        except OSError as problem:
            raise DownloadError(
                f"data set {name!r} cannot be stored in {target.parent}: {problem}. Free the "
                "folder, or set DGM_CACHE to another one, or DGM_DATA to one that has the files."
            ) from problem
    raise DownloadError(
        f"data set {name!r} could not be downloaded. Tried:\n" + "\n".join(problems) + "\n"
        f"Without a network, put the file at FOLDER/{file} and set DGM_DATA=FOLDER."
    )


def _require_digest(path: Path, checksum: str) -> None:
    """Raise a ValueError that names the file unless it has this "md5:..." or "sha256:..."."""
    kind, _, wanted = checksum.partition(":")
    found = hashlib.new(kind, path.read_bytes()).hexdigest()
    if found != wanted:
        raise ValueError(
            f"{path} is damaged or another version: its {kind} is {found}, that of the published "
            f"file {wanted}. Delete it and fetch it again."
        )


def _retrieve(address: str, target: Path, checksum: str) -> Path:
    """Download and check; network trouble of any kind becomes a ConnectionError."""
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(progressbar=True, timeout=30)
    try:
        path = pooch.retrieve(
            address, checksum, fname=target.name, path=target.parent, downloader=downloader
        )
    except requests.RequestException as problem:  # which is an OSError too
        raise ConnectionError(f"{type(problem).__name__}: {problem}") from problem
    return Path(path)
