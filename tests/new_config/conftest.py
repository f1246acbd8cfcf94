"""What the tests of new configs share."""

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from tnt_backbone.new_config import backbone, own_data
from tnt_backbone.run import config

ROOT = Path(__file__).parents[2]
FOUND: dict[str, str] = {}  # about models, by their content
READ: dict[Path, Config] = {}  # our own configs


@pytest.fixture(autouse=True)
def models_are_looked_at_once(monkeypatch):
    """Build and run a model once: hundreds of tests make configs of the same ones."""
    find = backbone.find_misfit

    def find_once(cfg):
        content = repr((cfg.default_scope, cfg.model, cfg.get('data_preprocessor')))
        if content not in FOUND:
            FOUND[content] = find(cfg)
        return FOUND[content]

    for module in (backbone, own_data):
        monkeypatch.setattr(module, 'find_misfit', find_once)


@pytest.fixture(autouse=True)
def configs_are_read_once(monkeypatch):
    """Read each of our own files once."""
    read = config.read_file

    def read_once(path):
        path = Path(path)
        if not path.is_relative_to(ROOT / 'configs'):
            return read(path)
        if path not in READ:
            READ[path] = read(path)
        return copy.deepcopy(READ[path])

    monkeypatch.setattr(config, 'read_file', read_once)
