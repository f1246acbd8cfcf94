"""The published weights: their names, and the places where they lie.

``tnt://<name>`` in a config stands for a row of ``PUBLISHED``. A file is kept in torch's hub cache
(``TORCH_HOME``, by default ``~/.cache/torch/hub/checkpoints``); a file that is there is not asked
for again.
"""

import hashlib
import os
import socket
import tempfile
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from mmengine.logging import print_log

from .read import read_tensors

SCHEME = 'tnt://'
TIMEOUT = 20.0  # seconds without a byte


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One file of weights.

    Attributes:
        file_name: Its name in the cache; ours, so that two places serve one name.
        places: URLs, in the order in which they are tried. They hold the same weights, not always
            in the same form.
        formulation: Which TNT it is: ``'official'`` or ``'legacy'``.
        arch: The variant.
        top1: ImageNet top-1 accuracy in percent, as published with the file.
    """

    file_name: str
    places: tuple[str, ...]
    formulation: str
    arch: str
    top1: float


_HUAWEI = 'https://github.com/huawei-noah/Efficient-AI-Backbones/releases/download/tnt/'
_HUB = 'https://huggingface.co/timm/{}/resolve/main/model.safetensors'

PUBLISHED = {
    'tnt_s': PublishedFile(
        file_name='tnt_s_81.5.pth.tar',
        places=(_HUAWEI + 'tnt_s_81.5.pth.tar', _HUB.format('tnt_s_patch16_224.in1k')),
        formulation='official',
        arch='s',
        top1=81.5,
    ),
    'tnt_b': PublishedFile(
        file_name='tnt_b_82.9.pth.tar',
        places=(_HUAWEI + 'tnt_b_82.9.pth.tar', _HUB.format('tnt_b_patch16_224.in1k')),
        formulation='official',
        arch='b',
        top1=82.9,
    ),
    'tnt_s_legacy': PublishedFile(
        file_name='tnt_s_patch16_224.pth.tar',
        places=(
            'https://github.com/contrastive/pytorch-image-models/releases/download/TNT/tnt_s_patch16_224.pth.tar',
            _HUB.format('tnt_s_legacy_patch16_224.in1k'),
        ),
        formulation='legacy',
        arch='s',
        top1=81.5,
    ),
}


def resolve_checkpoint(checkpoint: str) -> str:
    """Turn what a config calls a checkpoint into the path of a local file.

    Args:
        checkpoint: ``tnt://<name>`` (a row of ``PUBLISHED``), an ``http(s)://`` address, or a path.

    Raises:
        ValueError: If ``tnt://`` is followed by a name that is not in the table.
        FileNotFoundError: If the file is not there and no place can be reached. The text says which
            file, which places, and what to do.
    """
    if checkpoint.startswith(SCHEME):
        name = checkpoint[len(SCHEME) :]
        if name not in PUBLISHED:
            known = [SCHEME + row for row in PUBLISHED]
            raise ValueError(f'{checkpoint!r} is not published: choose one of {known}')
        return _fetch(PUBLISHED[name].file_name, PUBLISHED[name].places)
    if checkpoint.startswith(('http://', 'https://')):
        # The address is part of the name: every file of timm's hub is called model.safetensors.
        digest = hashlib.sha256(checkpoint.encode()).hexdigest()[:8]
        return _fetch(f'{digest}-{checkpoint.rstrip("/").rsplit("/", 1)[-1]}', (checkpoint,))
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f'the weights {checkpoint!r} are not there (no such file: {path.absolute()}). Give a '
            'file by --weights FILE (in a config: model.backbone.init_cfg.checkpoint), or train '
            'without by --from-scratch'
        )
    return str(path)


def _fetch(file_name: str, places: tuple[str, ...]) -> str:
    """Return the cached file, downloaded from the first place that answers with weights."""
    cache = Path(torch.hub.get_dir()) / 'checkpoints'
    cached = cache / file_name
    if cached.is_file():
        return str(cached)
    failures = []
    for place in places:
        cache.mkdir(parents=True, exist_ok=True)
        print_log(f'downloading {place}', logger='current')
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
    raise FileNotFoundError(
        f'the pretrained weights {file_name!r} are not in {cache} and could not be fetched from\n'
        + '\n'.join(failures)
        + f'\nWhat helps: put the file there by hand as {cached}; or give a local file by '
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
