"""The text of a config is that of mmengine, made once."""

import copy
import pickle

import pytest
from mmengine.config import Config

from tests.conftest import ROOT
from tnt_backbone.run.formatted_once import FormattedOnce


@pytest.fixture
def formats(monkeypatch):
    """Count how often mmengine formats a config."""
    pretty_text, times = Config.pretty_text.fget, []
    counted = property(lambda cfg: times.append(cfg) or pretty_text(cfg))
    monkeypatch.setattr(Config, 'pretty_text', counted)
    return times


def test_equal_configs_are_formatted_once(formats):
    cfg = Config.fromfile(ROOT / 'configs/retinanet_tnt_s_coco.py')
    once = FormattedOnce(cfg)
    text = once.pretty_text
    for other in (once, copy.deepcopy(once), pickle.loads(pickle.dumps(once)), FormattedOnce(cfg)):
        assert other.pretty_text == other.dump() == text
        assert (other.filename, other.text) == (cfg.filename, cfg.text)
    assert len(formats) == 1
    assert text == cfg.pretty_text


def test_changes_are_noticed(formats):
    cfg = Config(dict(a=1, b=[dict(c=True)], d='x'))
    once = FormattedOnce(cfg)
    seen = {once.pretty_text}
    once.b[0].c = 1  # equals True
    seen.add(once.pretty_text)
    once.merge_from_dict({'e.f': None})
    seen.add(once.pretty_text)
    assert len(seen) == len(formats) == 3
    assert Config.fromstring(once.pretty_text, '.py').to_dict() == once.to_dict()
