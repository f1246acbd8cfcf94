"""PyramidTNT computes what the authors' code computes, from the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tnt_backbone import PyramidTNT
from tnt_backbone.checkpoints.convert import from_ours, to_ours

GOLDEN = np.load(Path(__file__).parents[1] / 'data' / 'pyramid_tnt_official.npz')


def relative_error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.fixture(scope='module')
def state():
    return {
        key.removeprefix('state/'): torch.from_numpy(GOLDEN[key])
        for key in GOLDEN.files
        if key.startswith('state/')
    }


@pytest.fixture(scope='module')
def backbone(state):
    config = json.loads(str(GOLDEN['config']))
    theirs = config['configs']
    arch = {
        'depths': theirs['depths'],
        'word_dims': theirs['inner_dims'],
        'word_heads': theirs['inner_heads'],
        'sentence_dims': theirs['outer_dims'],
        'sentence_heads': theirs['outer_heads'],
    }
    backbone = PyramidTNT(arch, img_size=config['img_size'], out_type='avg_featmap').double()
    backbone.load_state_dict(to_ours(state).backbone, strict=True)
    return backbone.eval()


def test_equals_the_authors_code_stage_by_stage(backbone, state):
    outputs = []
    for stage in backbone.stages:
        stage.blocks[-1].register_forward_hook(lambda *args: outputs.append(args[-1]))
    with torch.no_grad():
        (vector,) = backbone(torch.from_numpy(GOLDEN['input']).double())
    assert len(outputs) == 4
    for i, (words, sentences) in enumerate(outputs):
        for ours, kind in ((words, 'words'), (sentences, 'sentences')):
            theirs = torch.from_numpy(GOLDEN[f'feature/stage{i}.{kind}']).double()
            assert relative_error(ours, theirs) < 1e-6, f'stage {i}, {kind}'  # stored in fp32
    logits = vector @ state['head.weight'].double().T + state['head.bias'].double()
    assert relative_error(logits, torch.from_numpy(GOLDEN['logits']).double()) < 1e-6


def test_the_authors_file_comes_back_bit_for_bit(state):
    returned = from_ours(to_ours(state), 'official')
    assert returned.keys() == state.keys()
    assert all(torch.equal(returned[key], state[key]) for key in state)
