"""What the tests of new configs share."""

import pytest

from tnt_backbone.new_config import backbone, own_data

FOUND: dict[str, str] = {}  # about models, by their content


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
