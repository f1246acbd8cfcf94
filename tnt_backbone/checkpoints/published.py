"""The published weights: their names, their URLs, and their download.

``tnt://<name>`` in a config is a row of ``published.json``. Files are kept in torch's hub cache
(``TORCH_HOME``, by default ``~/.cache/torch/hub/checkpoints``). A file in the cache is not
downloaded again.
"""

import difflib
import hashlib
import json
import os
import re
import socket
import tempfile
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, MissingFileError
from ..log import log
from .read import read_tensors

SCHEME = 'tnt://'
HUB = 'https://huggingface.co/{}/resolve/main/model.safetensors'
TIMEOUT = 20.0  # seconds without a byte


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One published file of weights.

    Attributes:
        family: Class of the backbone.
        arch: The variant.
        options: Other arguments of the backbone that the weights need.
        source: The project whose form the file has.
        file_name: Its name in the cache. The project chose it, so all URLs share one name.
        places: URLs, in the order in which they are tried. They hold the same weights, but not
            always in the same form.
        by_hand: Places from which only a person can download.
        img_size: Side of the training images, in pixels.
        mean: Mean of the pixels that is subtracted (R, G, B; 0 to 255).
        std: Standard deviation by which the pixels are divided.
        data: Data set of the classifier.
        top1: Top-1 accuracy in percent, as published with the file.
        top5: Top-5 accuracy in percent, as published with the file; ``None`` if it was not.
        note: Other remarks.
        checked: What was checked of its form; the files themselves were not downloaded.
    """

    family: str
    arch: str
    options: dict[str, Any]
    source: str
    file_name: str
    places: list[str]
    by_hand: list[str]
    img_size: int
    mean: list[float]
    std: list[float]
    data: str
    top1: float
    top5: float | None
    note: str
    checked: str


PUBLISHED = {
    name: PublishedFile(**row)
    for name, row in json.loads(Path(__file__).with_suffix('.json').read_text()).items()
}


def resolve_checkpoint(checkpoint: str | Path) -> str:
    """Return the path of a local file for a checkpoint as a config names it.

    Args:
        checkpoint: ``tnt://<name>`` (a row of ``PUBLISHED``), ``timm/<name>`` (a model of timm's
            hub), an ``http(s)://`` URL, or a path. The last three may follow ``tnt://``.

    Raises:
        ValueError: If the name after ``tnt://`` is unknown, or no name was passed.
        FileNotFoundError: If the file was not found and no place could be reached. The message
            names the file, the places, and what to do.
    """
    if not isinstance(checkpoint, (str, Path)):
        raise InputError(
            f'checkpoint={checkpoint!r} names no weights. Pass tnt://NAME, a URL or a path, or '
            'leave init_cfg out'
        )
    given = checkpoint = str(checkpoint)
    if checkpoint.startswith(SCHEME):
        checkpoint = checkpoint[len(SCHEME) :]
        if checkpoint in PUBLISHED:
            row = PUBLISHED[checkpoint]
            return _fetch(row.file_name, row.places, row.by_hand)
    if checkpoint.startswith(('http://', 'https://')):
        # The name has a digest of the URL: every file of timm's hub is called model.safetensors.
        digest = hashlib.sha256(checkpoint.encode()).hexdigest()[:8]
        return _fetch(f'{digest}-{checkpoint.rstrip("/").rsplit("/", 1)[-1]}', [checkpoint])
    path = Path(checkpoint).expanduser()
    if path.is_file():
        return str(path)
    if re.fullmatch(r'timm/[\w.-]+', checkpoint):
        return _fetch(checkpoint.replace('/', '-') + '.safetensors', [HUB.format(checkpoint)])
    if given.startswith(SCHEME) and '/' not in checkpoint:
        near = difflib.get_close_matches(checkpoint, PUBLISHED, n=3, cutoff=0.5)
        known = ' or '.join(SCHEME + row for row in near) or ', '.join(PUBLISHED)
        if checkpoint == 'digits':
            raise InputError(
                f'{given!r} only predicts: it has no training and no test data. It is for '
                'tnt predict, look, embed, export and app'
            )
        raise InputError(
            f'{given!r} is not a published name. Choose {known} (docs/weights.md lists all)'
        )
    raise MissingFileError(
        f'The weights {checkpoint!r} were not found ({path.absolute()} does not exist). Pass '
        '--weights FILE (in a config: model.backbone.init_cfg.checkpoint), or --from-scratch to '
        'train without weights'
    )


def _fetch(file_name: str, places: Sequence[str], by_hand: Sequence[str] = ()) -> str:
    """Return the cached file, after downloading it from the first place that has it."""
    cache = Path(torch.hub.get_dir()) / 'checkpoints'
    cached = cache / file_name
    if cached.is_file():
        return str(cached)
    failures = []
    if places:
        cache.mkdir(parents=True, exist_ok=True)
        with _one_process_at_a_time(cache.with_name('locks') / f'{file_name}.lock'):
            if cached.is_file():  # another process was first
                return str(cached)
            for place in places:
                if (failure := _download(place, cached)) is None:
                    return str(cached)
                failures.append(failure)
    tried = ' and could not be downloaded from\n' + '\n'.join(failures) if places else ''
    elsewhere = ''.join(f'\n  by hand: {place}' for place in by_hand)
    raise MissingFileError(
        f'The pretrained weights {file_name!r} were not found in {cache}{tried}{elsewhere}\n'
        f'Download the file by hand and save it as {cached}, or pass --weights FILE (any published '
        'form of these weights), or pass --from-scratch to train without weights.'
    )


def _download(place: str, cached: Path) -> str | None:
    """Download a file and return ``None``, or return why it failed."""
    log(f'downloading {place}')
    # Download under another name, check, then rename: the cache never holds half a file.
    handle, part = tempfile.mkstemp(prefix=f'{cached.name}.', suffix='.part', dir=cached.parent)
    os.close(handle)
    try:
        with _socket_timeout(TIMEOUT):
            torch.hub.download_url_to_file(place, part)
        read_tensors(part)
        os.replace(part, cached)
    except (urllib.error.URLError, OSError, HTTPException, ValueError, RuntimeError) as error:
        return f'  {place}\n    {type(error).__name__}: {error}'
    finally:
        Path(part).unlink(missing_ok=True)
    return None


@contextmanager
def _one_process_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process of this machine holds the lock."""
    from filelock import FileLock  # torch requires it

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire()
    except (NotImplementedError, OSError):  # a file system without locks: each downloads
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Set a time limit for torch's download, which has none; a firewall may never answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
