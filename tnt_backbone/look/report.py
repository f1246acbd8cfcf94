"""Everything that ``tnt look`` shows of one picture, as PNG files and a page."""

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from ..backbones import T2TViT
from ..backbones.base import TokenBackbone
from ..errors import InputError
from ..predict.model import TrainedModel
from ..predict.pictures import Picture
from ..predict.results import SCORE
from .blocks import RecordedBlock, choose_blocks, record_blocks
from .explain import backbone_of, explain
from .figures import write_sheet
from .heat import HeatMap
from .maps import AttentionMaps, attention_maps
from .network_input import NetworkInput, network_input
from .page import write_page
from .positions import position_pictures
from .sheets import (
    Rows,
    attention_sheet,
    heat_sheet,
    level_sheet,
    position_sheet,
    sentence_sheet,
    word_sheet,
)

PAGE = 'page.html'
# File, title and what the page says about it
SHEETS = (
    ('heat', 'Evidence', 'LayerCAM: where the features speak for a prediction.'),
    (
        'attention',
        'Attention',
        'What the framed sentence, the framed word and the class token read: the mean over the '
        'heads, divided by the largest weight.',
    ),
    (
        'levels',
        'Outputs of the backbone',
        'Above: length of the vectors. Below: the three main components as red, green and blue.',
    ),
    ('sentences', 'Sentences', 'Twelve random channels behind each block.'),
    ('words', 'Words', 'Behind each block, each word in its place.'),
    (
        'positions',
        'Position tables',
        'Each small map is of one place: what it has in common with every place.',
    ),
)


def look_at(
    model: TrainedModel,
    picture: Picture,
    out: Path,
    *,
    point: tuple[int, int] | None = None,
    blocks: Sequence[int] | None = None,
    score: float = SCORE,
    top: int = 6,
    classes: Collection[str] | None = None,
    method: str | None = 'layercam',
) -> tuple[Path, list[str]]:
    """Write ``heat.png``, ``attention.png``, ``levels.png`` and others, and ``page.html``.

    Args:
        model: From :func:`tnt_backbone.load_model`.
        picture: From :func:`find_pictures`.
        out: Folder; one named after the picture is made in it.
        point: ``(x, y)`` in pixels of what the network sees; by default the strongest place of the
            most certain object, else the middle.
        blocks: See :func:`choose_blocks`.
        score: See :func:`explain`.
        top: The largest number of objects or classes with a heat map.
        classes: See :func:`explain`.
        method: See :func:`explain`; ``None`` makes no heat maps.

    Returns:
        The page, and notes about what is not shown.

    Raises:
        UnreadablePictureError: If the picture is damaged.
        ValueError: If the point lies outside, or a block or a class does not exist.
    """
    seen = network_input(model, picture)
    height, width = seen.pixels.shape[:2]
    if point is not None and not (0 <= point[0] < width and 0 <= point[1] < height):
        raise InputError(
            f'--point {point[0]} {point[1]} lies outside {picture.name}, which is {width} x '
            f'{height} pixels for the network. Pass x from 0 to {width - 1} and y from 0 to '
            f'{height - 1}'
        )
    backbone = backbone_of(model)
    notes = _notes_on_model(model)
    recorded: list[RecordedBlock] = []
    if isinstance(backbone, TokenBackbone):
        recorded, outputs = record_blocks(backbone, seen.tensor, choose_blocks(backbone, blocks))
    else:
        with torch.no_grad():
            outputs = backbone(seen.tensor)
        notes.append(
            f'{type(backbone).__name__} is not of this package: its attention is not shown.'
        )
    maps = [attention_maps(block) for block in recorded]
    heats = (
        []
        if method is None
        else explain(model, seen, score=score, limit=top, classes=classes, method=method)
    )
    if method is not None:
        notes += _notes_on_heat(heats, model.task, score)
    if steps := [entry.step for entry in maps if entry.step > 1]:
        notes.append(
            f'The picture is large: of every {max(steps)} x {max(steps)} sentences, the attention '
            'of the one in the middle is kept.'
        )
    # the first map of several objects is of all, that of several classes of pixels the background
    one = heats[: 2 if model.task != 'classification' else 1][-1:]
    place = point or _strongest(one) or (seen.content[1] // 2, seen.content[0] // 2)
    rows = _rows(backbone, seen, outputs, recorded, maps, heats, place)

    parts = [part for part in PurePosixPath(picture.name).parts if part not in ('..', '/')]
    folder = out.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, title, text in SHEETS:
        path = folder / f'{name}.png'
        path.unlink(missing_ok=True)  # of an earlier call
        if any(rows[name]):
            write_sheet(path, f'{picture.name}: {title}', rows[name])
            shown.append((title, text, path))
    page = folder / PAGE
    write_page(
        page,
        seen,
        maps,
        heats,
        point=place,
        model=type(model.model).__name__,
        backbone=type(backbone).__name__,
        notes=notes,
        sheets=shown,
    )
    return page, notes


def _rows(
    backbone: torch.nn.Module,
    seen: NetworkInput,
    outputs: Sequence[torch.Tensor],
    recorded: Sequence[RecordedBlock],
    maps: Sequence[AttentionMaps],
    heats: Sequence[HeatMap],
    place: tuple[int, int],
) -> dict[str, Rows]:
    levels = [output for output in outputs if output.ndim == 4]
    tables = position_pictures(backbone) if isinstance(backbone, TokenBackbone) else []
    return {
        'heat': heat_sheet(seen, heats) if heats else [],
        'attention': attention_sheet(seen, maps, place),
        'levels': level_sheet(seen, levels) if levels else [],
        'sentences': sentence_sheet(recorded),
        'words': word_sheet(recorded),
        'positions': position_sheet(tables) if tables else [],
    }


def _strongest(heats: Sequence[HeatMap]) -> tuple[int, int] | None:
    """Return ``(x, y)`` of the strongest place of the last heat map."""
    if not heats or not heats[-1].heat.any():
        return None
    y, x = np.unravel_index(heats[-1].heat.argmax(), heats[-1].heat.shape)
    return int(x), int(y)


def _notes_on_model(model: TrainedModel) -> list[str]:
    notes = []
    backbone = backbone_of(model)
    if isinstance(backbone, T2TViT):
        notes.append(
            'T2T-ViT has no words. The attention of its token module is not shown: the Performer '
            'approximates attention and has no weights.'
        )
    test_cfg = getattr(model.model, 'test_cfg', None)
    if model.task == 'segmentation' and (test_cfg or {}).get('mode') == 'slide':
        notes.append(
            f'tnt predict slides a window of {tuple(test_cfg["crop_size"])} pixels over the '  # type: ignore[index]
            'picture. Here the network sees the whole picture at once.'
        )
    return notes


def _notes_on_heat(heats: Sequence[HeatMap], task: str, score: float) -> list[str]:
    if not heats and task == 'detection':
        return [f'No object has a score of at least {score:g}. Pass a lower --score.']
    return [
        f'No place speaks for {entry.title}: the gradient of its score is zero or negative.'
        for entry in heats
        if not entry.heat.any()
    ]
