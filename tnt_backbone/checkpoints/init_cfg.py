"""Reading of ``init_cfg``, in both styles of mmengine's configs."""

from typing import Any

from ..errors import InputError, InputTypeError

PRETRAINED = ('Pretrained', 'PretrainedInit')
InitCfg = dict[str, Any]


def split_init_cfg(init_cfg: InitCfg | list[InitCfg] | None) -> tuple[list[InitCfg], list[InitCfg]]:
    """Return the entries for pretrained weights, and the other initialisations.

    Raises:
        TypeError: If it is neither a dict nor a list of dicts.
        ValueError: If an entry has no type.
    """
    cfgs = init_cfg or []  # an empty dict is none, as in mmengine
    if isinstance(cfgs, dict):
        cfgs = [cfgs]
    if not isinstance(cfgs, list | tuple) or not all(isinstance(cfg, dict) for cfg in cfgs):
        raise InputTypeError(
            f'init_cfg={init_cfg!r} must be a dict or a list of dicts. Use '
            "init_cfg=dict(type='Pretrained', checkpoint=...) to load weights"
        )
    for cfg in cfgs:
        if 'type' not in cfg:
            raise InputError(
                f"init_cfg={dict(cfg)} has no type. Add type='Pretrained' to load weights"
            )
    # configs of the new style give mmengine's class itself
    pretrained = [
        cfg for cfg in cfgs if getattr(cfg['type'], '__name__', cfg['type']) in PRETRAINED
    ]
    return pretrained, [cfg for cfg in cfgs if cfg not in pretrained]


def load_options(pretrained: InitCfg) -> dict[str, Any]:
    """Return the arguments of ``load_pretrained`` from an entry for pretrained weights."""
    # map_location is mmengine's; the tensors are copied to where the backbone is
    options = {
        key: value for key, value in pretrained.items() if key not in ('type', 'map_location')
    }
    return {'checkpoint': None, **options}  # the error for None says what to pass
