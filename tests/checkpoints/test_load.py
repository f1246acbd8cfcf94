"""Weights of every source load into a backbone with one line of config, and the log says so."""

import logging
import re

import pytest
import timm
import torch
from mmengine.logging import MMLogger
from mmengine.model import PretrainedInit
from mmengine.registry import MODELS
from mmpretrain.models import backbones as mmpretrain_backbones
from safetensors.torch import save_file

from tnt_backbone import TNT, T2TViT
from tnt_backbone.checkpoints import load_pretrained
from tnt_backbone.checkpoints.convert import from_ours, to_ours
from tnt_backbone.checkpoints.load import select_tensors
from tnt_backbone.checkpoints.read import read_tensors

OURS = {'depth': 2, 'word_dims': 8, 'word_heads': 4, 'sentence_dims': 24, 'sentence_heads': 2}
T2T = {'depth': 2, 'embed_dims': 24, 'num_heads': 2, 'token_dims': 16}
TIMM = {
    'embed_dim': 24,
    'inner_dim': 8,
    'depth': 2,
    'num_heads_outer': 2,
    'num_classes': 5,
    'img_size': 32,
}
MMPRETRAIN = {
    'embed_dims_outer': 24,
    'embed_dims_inner': 8,
    'num_layers': 2,
    'num_heads_outer': 2,
    'num_heads_inner': 4,
}


@pytest.fixture
def log(caplog):
    """The text of what mmengine's ``print_log`` says."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.handler.setLevel(logging.INFO)
    yield caplog
    logger.removeHandler(caplog.handler)


def timm_tnt(name='tnt_s_patch16_224', seed=0):
    torch.manual_seed(seed)
    return timm.create_model(name, **TIMM)


def vectors(model, image):
    model.eval()
    with torch.no_grad():
        output = model(image)
    return output[0] if isinstance(output, tuple) else output


def official_state(model):
    """The same weights under the authors' keys: the inverse of timm's filter for their files."""
    state = {}
    for key, value in model.state_dict().items():
        if key == 'pixel_pos':
            state['inner_pos'] = value.flatten(2).transpose(1, 2)
            continue
        for theirs, official in (
            ('patch_pos', 'outer_pos'),
            ('pixel_embed', 'patch_embed'),
            ('norm1_proj', 'proj_norm1'),
            ('norm2_proj', 'proj_norm2'),
            ('norm_in', 'inner_norm1'),
            ('attn_in', 'inner_attn'),
            ('norm_mlp_in', 'inner_norm2'),
            ('mlp_in', 'inner_mlp'),
            ('norm_out', 'outer_norm1'),
            ('attn_out', 'outer_attn'),
            ('norm_mlp.', 'outer_norm2.'),
            ('.mlp.', '.outer_mlp.'),
        ):
            key = key.replace(theirs, official)
        state[key] = value
    return {**state, 'outer_tokens': torch.zeros(1, 4, 24)}


WRAPS = {
    'bare': lambda state: state,
    'state_dict': lambda state: {'state_dict': state, 'epoch': 3},
    'average first': lambda state: {
        'state_dict': {key: value * 0 for key, value in state.items()},
        'state_dict_ema': state,
    },
    'module.': lambda state: {
        'state_dict': {f'module.{key}': value for key, value in state.items()}
    },
    'detector': lambda state: {
        'state_dict': {
            **{f'backbone.{key}': value for key, value in state.items()},
            'neck.w': torch.zeros(1),
        }
    },
}


@pytest.mark.parametrize('wrap', WRAPS)
def test_official_file_by_init_cfg(tmp_path, wrap):
    theirs = timm_tnt()
    torch.save(WRAPS[wrap](official_state(theirs)), tmp_path / 'tnt_s.pth.tar')
    config = dict(
        type='tnt_backbone.TNT',
        arch=OURS,
        img_size=32,
        out_type='cls_token',
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'tnt_s.pth.tar')),
    )
    ours = MODELS.build(config)
    ours.init_weights()
    image = torch.randn(2, 3, 32, 32)
    theirs.reset_classifier(0)
    torch.testing.assert_close(vectors(ours, image), vectors(theirs, image))


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('name', ['tnt_s_patch16_224', 'tnt_s_legacy_patch16_224'])
def test_timm_file(tmp_path, name, suffix):
    theirs = timm_tnt(name)
    path = str(tmp_path / f'model{suffix}')
    (save_file if suffix == '.safetensors' else torch.save)(theirs.state_dict(), path)
    formulation = 'legacy' if 'legacy' in name else 'official'
    ours = TNT(OURS, img_size=32, formulation=formulation, out_type='cls_token')
    load_pretrained(ours, path)
    image = torch.randn(2, 3, 32, 32)
    theirs.reset_classifier(0)
    torch.testing.assert_close(vectors(ours, image), vectors(theirs, image))


def test_mmpretrain_classifier(tmp_path):
    torch.manual_seed(0)
    theirs = mmpretrain_backbones.TNT(arch=MMPRETRAIN, img_size=32)
    state = {f'backbone.{key}': value for key, value in theirs.state_dict().items()}
    torch.save(
        {'state_dict': {**state, 'head.fc.weight': torch.zeros(5, 24)}, 'meta': {}},
        tmp_path / 'c.pth',
    )
    ours = TNT(OURS, img_size=32, formulation='legacy', out_type='cls_token')
    load_pretrained(ours, str(tmp_path / 'c.pth'))
    image = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(vectors(ours, image), vectors(theirs, image))


def test_own_classifier_into_detector_and_back_in_whole(tmp_path, log):
    classifier = TNT(OURS, img_size=32, out_type='cls_token')
    torch.save({'state_dict': classifier.state_dict()}, tmp_path / 'classifier.pth')
    detector = TNT(OURS, img_size=32)
    load_pretrained(detector, str(tmp_path / 'classifier.pth'))
    shared = set(classifier.state_dict()) - {'norm.weight', 'norm.bias'}
    for key in shared:
        assert torch.equal(detector.state_dict()[key], classifier.state_dict()[key]), key
    assert re.search(rf'\b{len(shared)}\b.*\b{len(detector.state_dict())}\b', log.text)
    assert 'pyramid.levels.0' in log.text
    assert re.search(r'\b2\b.*\bnorm\.weight, norm\.bias\b', log.text)

    torch.save(
        {'state_dict': {f'backbone.{k}': v for k, v in detector.state_dict().items()}},
        tmp_path / 'd.pth',
    )
    other = TNT(OURS, img_size=32)
    load_pretrained(other, str(tmp_path / 'd.pth'))
    assert all(torch.equal(v, detector.state_dict()[k]) for k, v in other.state_dict().items())


def test_a_formulation_is_compared_by_its_letters(tmp_path):
    backbone = TNT(OURS, img_size=32, formulation=''.join(['leg', 'acy']))
    torch.save(backbone.state_dict(), tmp_path / 'w.pth')
    load_pretrained(backbone, tmp_path / 'w.pth')


@pytest.mark.parametrize(('file', 'built'), [('official', 'legacy'), ('legacy', 'official')])
def test_the_other_formulation_is_refused_by_name(tmp_path, file, built):
    torch.save(TNT(OURS, img_size=32, formulation=file).state_dict(), tmp_path / 'w.pth')
    backbone = TNT(OURS, img_size=32, formulation=built)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(ValueError, match=f"formulation='{built}'.*formulation='{file}'"):
        load_pretrained(backbone, str(tmp_path / 'w.pth'))
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_another_variant_is_refused_by_name(tmp_path):
    torch.save(TNT('ti', out_type='cls_token').state_dict(), tmp_path / 'ti.pth')
    backbone = TNT(OURS, out_type='cls_token')
    with pytest.raises(ValueError, match=r"ti\.pth.*\barch='ti'"):
        load_pretrained(backbone, str(tmp_path / 'ti.pth'))


class ScaledTNT(TNT):
    """A user's backbone, which needs an argument that we do not know."""

    def __init__(self, arch, scale, **kwargs):
        super().__init__(arch, **kwargs)
        self.scale = scale


def test_a_users_subclass_gets_the_message_about_its_weights(tmp_path):
    torch.save(TNT('ti', img_size=32).state_dict(), tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'w\.pth.*allow_missing=True'):
        load_pretrained(ScaledTNT(OURS, scale=2, img_size=32), str(tmp_path / 'w.pth'))


@pytest.mark.parametrize('end', ['word_embed.proj.bias', 'sentence_pos', 'cls_token'])
def test_a_tensor_that_is_missing_is_named_whatever_it_is(tmp_path, end):
    state = TNT(OURS, img_size=32).state_dict()
    torch.save({key: state[key] for key in state if key != end}, tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=rf"\b1\b.*\['{end}'\].*\b0\b") as error:
        load_pretrained(TNT(OURS, img_size=32), str(tmp_path / 'w.pth'))
    assert 'in_channels' not in str(error.value)
    assert 'img_size' not in str(error.value)


@pytest.mark.parametrize(
    ('kwargs', 'advice'),
    [
        ({'in_channels': 1}, 'in_channels=3'),
        ({'patch_size': 8, 'img_size': 16}, r'\barch\b'),
        ({'se': True}, r'\barch\b'),
    ],
    ids=str,
)
def test_no_other_variant_is_named_where_another_argument_differs(tmp_path, kwargs, advice):
    torch.save(TNT('ti', img_size=32).state_dict(), tmp_path / 'ti.pth')
    backbone = TNT('ti', **{'img_size': 32, **kwargs})
    with pytest.raises(ValueError, match=advice) as error:
        load_pretrained(backbone, tmp_path / 'ti.pth')
    assert 'arch=' not in str(error.value)


def test_a_pyramid_of_other_widths_is_new(tmp_path, log):
    theirs = TNT(OURS, img_size=32, out_channels=(8, 8, 8, 8))
    torch.save(theirs.state_dict(), tmp_path / 'w.pth')
    backbone = TNT(OURS, img_size=32)
    load_pretrained(backbone, tmp_path / 'w.pth')
    assert 'pyramid.levels.0' in log.text
    for key, value in backbone.state_dict().items():
        assert key.startswith('pyramid.') or torch.equal(value, theirs.state_dict()[key]), key


def test_a_table_of_another_size_is_resized_where_its_grid_is_known(tmp_path, log):
    torch.save(TNT(OURS, img_size=64).state_dict(), tmp_path / 'w.pth')
    load_pretrained(TNT(OURS, img_size=32), tmp_path / 'w.pth')
    assert re.search(r'\bsentence_pos\b.*\b4x4\b.*\b2x2\b', log.text)
    oblong = TNT(OURS, img_size=(64, 32)).state_dict()
    torch.save(oblong, tmp_path / 'w.pth')
    load_pretrained(TNT(OURS, img_size=(32, 48)), tmp_path / 'w.pth')
    assert re.search(r'\bsentence_pos\b.*\b4x2\b.*\b2x3\b', log.text)
    torch.save(dict(oblong), tmp_path / 'w.pth')  # without what the modules say
    with pytest.raises(ValueError, match='img_size'):
        load_pretrained(TNT(OURS, img_size=32), tmp_path / 'w.pth')


@pytest.mark.parametrize(
    'init_cfg',
    [{'type': PretrainedInit}, {'type': 'Pretrained', 'map_location': 'cpu'}],
    ids=['class', 'map_location'],
)
def test_init_cfg_in_mmengines_other_styles(tmp_path, init_cfg):
    theirs = TNT(OURS, img_size=32)
    torch.save({f'backbone.{k}': v for k, v in theirs.state_dict().items()}, tmp_path / 'w.pth')
    ours = TNT(OURS, img_size=32, init_cfg={**init_cfg, 'checkpoint': tmp_path / 'w.pth'})
    ours.init_weights()
    assert all(torch.equal(v, theirs.state_dict()[k]) for k, v in ours.state_dict().items())


@pytest.mark.parametrize(
    ('init_cfg', 'message'),
    [
        ({'type': 'Pretrained', 'checkpoint': None}, r'checkpoint=None\b.*tnt://.*init_cfg'),
        ({'type': 'Pretrained'}, r'checkpoint=None\b.*tnt://.*init_cfg'),
        ({'checkpoint': 'w.pth'}, r"init_cfg=.*'w\.pth'.*type='Pretrained'"),
    ],
)
def test_an_init_cfg_without_its_parts_is_refused(init_cfg, message):
    with pytest.raises(ValueError, match=message):
        TNT(OURS, img_size=32, init_cfg=init_cfg).init_weights()


def test_missing_tensors_are_an_error_unless_allowed(tmp_path, log):
    state = TNT(OURS, img_size=32).state_dict()
    missing = 'blocks.1.sentence_block.mlp.fc1.weight'
    torch.save({key: value for key, value in state.items() if key != missing}, tmp_path / 'w.pth')
    for load in (load_pretrained, select_tensors):
        with pytest.raises(ValueError, match=missing):
            load(backbone=TNT(OURS, img_size=32), checkpoint=str(tmp_path / 'w.pth'))
    log.clear()
    backbone = TNT(
        OURS,
        img_size=32,
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'w.pth'), allow_missing=True),
    )
    backbone.init_weights()
    assert re.search(rf'\b1 MISSING\b.*{missing}', log.text)
    assert torch.equal(backbone.word_pos, state['word_pos'])


def test_a_part_of_joined_tensors_is_missing(tmp_path, log):
    """The authors keep queries and keys apart from values; ours are one tensor."""
    official = from_ours(to_ours(TNT(OURS, img_size=32).state_dict()), 'official')
    (value,) = (key for key in official if key.endswith('blocks.0.outer_attn.v.weight'))
    del official[value]
    torch.save(official, tmp_path / 'w.pth')
    missing = 'blocks.0.sentence_block.attn.qkv.weight'
    with pytest.raises(ValueError, match=missing):
        load_pretrained(TNT(OURS, img_size=32), str(tmp_path / 'w.pth'))
    load_pretrained(TNT(OURS, img_size=32), str(tmp_path / 'w.pth'), allow_missing=True)
    assert re.search(rf'\b1 MISSING\b.*{missing}', log.text)


@pytest.mark.parametrize('share', [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_cut_file_of_torchs_old_format_is_refused(tmp_path, share):
    path = tmp_path / 'w.pth'
    state = TNT(OURS, img_size=32).state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=r'w\.pth'):
        read_tensors(str(path))


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save(
        {'conv1.weight': torch.zeros(1), 'layer1.0.conv1.weight': torch.zeros(1)},
        tmp_path / 'resnet.pth',
    )
    with pytest.raises(ValueError, match=r'tnt_backbone, official.* conv1\.weight, layer1\.0'):
        load_pretrained(TNT(OURS, img_size=32), str(tmp_path / 'resnet.pth'))


@pytest.mark.parametrize(('number', 'more'), [(6, ''), (7, ' and 1 more'), (15, ' and 9 more')])
def test_the_first_keys_of_an_unknown_file_are_named(number, more):
    keys = [f'conv{i}' for i in range(number)]
    first = ', '.join(keys[:6])
    with pytest.raises(ValueError, match=rf'The keys are {first}{more}\. '):
        to_ours(dict.fromkeys(keys, torch.zeros(1)))


def test_t2t_vits_training_checkpoint_by_init_cfg(tmp_path, log):
    """The authors save the average of the weights, sometimes below ``module.``."""
    theirs = T2TViT(T2T, img_size=32, out_type='cls_token')
    official = from_ours(to_ours(theirs.state_dict()), 'official')
    content = {
        'state_dict': {key: torch.zeros_like(value) for key, value in official.items()},
        'state_dict_ema': {f'module.{key}': value for key, value in official.items()},
    }
    torch.save(content, tmp_path / '71.7_T2T_ViT_7.pth.tar')
    ours = T2TViT(
        T2T,
        img_size=32,
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / '71.7_T2T_ViT_7.pth.tar')),
    )
    ours.init_weights()
    for key, value in ours.state_dict().items():
        if not key.startswith('pyramid.'):
            assert torch.equal(value, theirs.state_dict()[key]), key
    assert '(official)' in log.text


def test_a_classifiers_checkpoint_goes_into_a_detectors_backbone(tmp_path, log):
    """All tensors but the pyramid's, which is new, and the classifier's head."""
    classifier = {
        f'backbone.{key}': value
        for key, value in TNT(OURS, img_size=32, out_type='cls_token').state_dict().items()
    }
    torch.save(
        {'state_dict': {**classifier, 'head.fc.weight': torch.zeros(5, 24)}}, tmp_path / 'c.pth'
    )
    backbone = TNT(OURS, img_size=32)
    load_pretrained(backbone, str(tmp_path / 'c.pth'))
    wanted = backbone.state_dict()
    pyramid = [key for key in wanted if key.startswith('pyramid.')]
    assert re.search(rf'\b{len(wanted) - len(pyramid)}\b.*\b{len(wanted)}\b', log.text)
    assert re.search(rf'\b{len(pyramid)}\b.*\bpyramid\.', log.text)
    assert 'MISSING' not in log.text


def test_another_family_is_refused_by_name(tmp_path):
    torch.save(T2TViT(T2T, img_size=32).state_dict(), tmp_path / 't2t.pth')
    with pytest.raises(ValueError, match=r"t2t\.pth .*T2TViT.* is TNT.*type='T2TViT'"):
        load_pretrained(TNT(OURS, img_size=32), str(tmp_path / 't2t.pth'))


class Evil:
    def __reduce__(self):
        return eval, ("open('executed', 'w')",)


def whole(path):
    torch.save(TNT(OURS, img_size=32).state_dict(), path)
    return path.read_bytes()


BAD_FILES = {
    'empty': (lambda path: path.write_bytes(b''), 'empty'),
    'web page': (
        lambda path: path.write_text('<!DOCTYPE html><html>404</html>'),
        'web page',
    ),
    'LFS pointer': (
        lambda path: path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
        'Git LFS',
    ),
    'cut off': (
        lambda path: path.write_bytes(whole(path)[:30000]),
        r'\b30000 bytes',
    ),
    'noise': (lambda path: path.write_bytes(bytes(range(256)) * 8), 'damaged'),
    'code': (
        lambda path: torch.save({'state_dict': Evil()}, path),
        r'\beval\b',
    ),
    'no tensors': (
        lambda path: torch.save({'epoch': 3}, path),
        r"keys \['epoch'\]",
    ),
    'cut off safetensors': (
        lambda path: (
            save_file({'a': torch.zeros(99)}, path),
            path.write_bytes(path.read_bytes()[:200]),
        ),
        'safetensors',
    ),
}


@pytest.mark.parametrize('kind', BAD_FILES)
def test_bad_files_are_told_apart(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    make, message = BAD_FILES[kind]
    path = tmp_path / 'weights.pth'
    make(path)
    with pytest.raises(ValueError, match=message) as error:
        read_tensors(str(path))
    assert str(path) in str(error.value)
    assert not (tmp_path / 'executed').exists()


def test_another_zip_is_told_apart(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / 'w.pth', 'w') as archive:
        archive.writestr('readme.txt', 'hello' * 200)
    with pytest.raises(ValueError, match=r'w\.pth.*\bzip\b'):
        read_tensors(str(tmp_path / 'w.pth'))
