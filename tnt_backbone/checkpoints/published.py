"""The published weights: their names, and the places where they lie.

``tnt://<name>`` in a config stands for a row of ``published.json``. A file is kept in torch's hub
cache (``TORCH_HOME``, by default ``~/.cache/torch/hub/checkpoints``); a file that is there is not
asked for again.
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

from ..log import log
from .read import read_tensors

SCHEME = 'tnt://'
HUB = 'https://huggingface.co/{}/resolve/main/model.safetensors'
TIMEOUT = 20.0  # seconds without a byte


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file of weights.

    Attributes:
        family: Class of the backbone.
        arch: The variant.
        options: Other arguments of the backbone that the weights need.
        source: Whose form the file has.
        file_name: Its name in the cache; ours, so that two places serve one name.
        places: URLs, in the order in which they are tried. They hold the same weights, not always
            in the same form.
        by_hand: Places that no program can fetch from.
        img_size: Side of the images that it was trained on, in pixels.
        mean: What is subtracted from the pixels (R, G, B; 0 to 255).
        std: What they are divided by.
        data: Data set that it classifies.
        top1: Top-1 accuracy in percent, as published with the file.
        top5: Top-5 accuracy in percent, likewise, where one was published.
        note: What else there is to know.
        checked: What was checked of its form; the files themselves were never fetched.
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
    """Turn what a config calls a checkpoint into the path of a local file.

    Args:
        checkpoint: ``tnt://<name>`` (a row of ``PUBLISHED``), ``timm/<name>`` (a model of timm's
            hub), an ``http(s)://`` address, or a path; the latter three also behind ``tnt://``.

    Raises:
        ValueError: If ``tnt://`` is followed by a name that is not in the table, or no name is
            given at all.
        FileNotFoundError: If the file is not there and no place can be reached. The text says which
            file, which places, and what to do.
    """
    if not isinstance(checkpoint, (str, Path)):
        raise ValueError(
            f'checkpoint={checkpoint!r} names no weights: give tnt://NAME, a URL or a path, or '
            'leave init_cfg out'
        )
    given = checkpoint = str(checkpoint)
    if checkpoint.startswith(SCHEME):
        checkpoint = checkpoint[len(SCHEME) :]
        if checkpoint in PUBLISHED:
            row = PUBLISHED[checkpoint]
            return _fetch(row.file_name, row.places, row.by_hand)
    if checkpoint.startswith(('http://', 'https://')):
        # The address is part of the name: every file of timm's hub is called model.safetensors.
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
        raise ValueError(
            f'{given!r} is not published: choose {known} (the table is in docs/weights.md)'
        )
    raise FileNotFoundError(
        f'the weights {checkpoint!r} are not there (no such file: {path.absolute()}). Give a '
        'file by --weights FILE (in a config: model.backbone.init_cfg.checkpoint), or train '
        'without by --from-scratch'
    )


def _fetch(file_name: str, places: Sequence[str], by_hand: Sequence[str] = ()) -> str:
    """Return the cached file, downloaded from the first place that answers with weights."""
    cache = Path(torch.hub.get_dir()) / 'checkpoints'
    cached = cache / file_name
    if cached.is_file():
        return str(cached)
    failures = []
    for place in places:
        cache.mkdir(parents=True, exist_ok=True)
        log(f'downloading {place}')
        # Checked under a name of its own, then renamed: the cache never holds half a file.
        handle, part = tempfile.mkstemp(prefix=f'{file_name}.', suffix='.part', dir=cache)
        os.close(handle)
        try:
            with _socket_timeout(TIMEOUT):
                torch.hub.download_url_to_file(place, part)
            read_tensors(part)
            os.replace(part, cached)
            return str(cached)
        except (urllib.error.URLError, OSError, HTTPException, ValueError, RuntimeError) as error:
            failures.append(f'  {place}\n    {type(error).__name__}: {error}')
        finally:
            Path(part).unlink(missing_ok=True)
    tried = ' and could not be fetched from\n' + '\n'.join(failures) if places else ''
    elsewhere = ''.join(f'\n  by hand: {place}' for place in by_hand)
    raise FileNotFoundError(
        f'the pretrained weights {file_name!r} are not in {cache}{tried}{elsewhere}\n'
        f'What helps: put the file there by hand as {cached}; or give a local file by '
        '--weights FILE (any published form of these weights); or train without them by '
        '--from-scratch.'
    )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Torch's download has no time limit of its own, and a firewall may never answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
