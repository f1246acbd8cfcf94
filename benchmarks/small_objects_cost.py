"""Find the widths at which the networks of ``small_objects.py`` cost the same.

A step is the loss of the detector on 4 scenes and its backward pass, in fp32 with one thread. The
candidates take turns, and the quickest of many rounds counts, so other work on the machine matters
little.
"""

from pathlib import Path
from typing import Any

import torch
from machine import in_turns
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from small_objects_models import CANDIDATES, REFERENCE, REFERENCE_WIDTH, detector, with_recipe
from study import Rows

COLUMNS = ('model', 'width', 'step_s', 'of_reference', 'params_m', 'chosen')
TOLERANCE = 0.1  # of the reference's seconds


def calibrate(data: Path, rows: Rows, rounds: int) -> None:
    """Time all candidates and write a row for each."""
    torch.set_num_threads(1)
    init_default_scope('mmdet')
    sizes = [(REFERENCE, REFERENCE_WIDTH)]
    sizes += [(model, width) for model, widths in CANDIDATES.items() for width in widths]
    configs = {size: _config(*size, data) for size in sizes}
    batch = next(iter(Runner.build_dataloader(configs[sizes[0]].train_dataloader, seed=0)))
    networks = {size: MODELS.build(cfg.model).train() for size, cfg in configs.items()}
    steps = {
        size: (lambda network=network: _step(network, batch)) for size, network in networks.items()
    }
    seconds = in_turns(steps, rounds)
    reference = seconds[sizes[0]]
    for model in (REFERENCE, *CANDIDATES):
        nearest = min(
            (size for size in sizes if size[0] == model),
            key=lambda size: abs(seconds[size] - reference),
        )
        for size in (size for size in sizes if size[0] == model):
            rows.add(
                dict(
                    model=model,
                    width=size[1],
                    step_s=f'{seconds[size]:.3f}',
                    of_reference=f'{seconds[size] / reference:.2f}',
                    params_m=f'{sum(p.numel() for p in networks[size].parameters()) / 1e6:.2f}',
                    chosen=int(size == nearest),
                )
            )


def chosen_widths(rows: Rows) -> dict[str, int]:
    """Return the width of each network.

    Raises:
        SystemExit: If one is missing, or costs more than a tenth more or less than the reference.
    """
    chosen = {row['model']: row for row in rows.read() if row['chosen'] == '1'}
    if missing := [name for name in (REFERENCE, *CANDIDATES) if name not in chosen]:
        raise SystemExit(
            f'{rows.path} has no chosen width of {", ".join(missing)}. Remove the file to measure '
            'again'
        )
    for model, row in chosen.items():
        if round(abs(float(row['of_reference']) - 1), 3) > TOLERANCE:
            raise SystemExit(
                f'{rows.path}: {model} of width {row["width"]} takes {row["of_reference"]} of the '
                'time of the reference, more than a tenth apart. Remove the file to measure again, '
                'or add widths to CANDIDATES in small_objects_models.py'
            )
    return {model: int(row['width']) for model, row in chosen.items()}


def _config(model: str, width: int, data: Path) -> Config:
    return with_recipe(detector(model, width, data), steps=8, rate=1e-3, seed=0)


def _step(network: Any, batch: dict[str, Any]) -> None:
    data = network.data_preprocessor(batch, training=True)
    loss, _ = network.parse_losses(network(**data, mode='loss'))
    loss.backward()
    network.zero_grad()
