"""Runs whose memory is used up say which options of theirs save some."""

import pytest
import torch
from mmdet.models import RetinaNet
from mmengine.config import Config

from tnt_backbone.cli import test as test_command
from tnt_backbone.cli import train as train_command
from tnt_backbone.run.out_of_memory import advice, advice_when_out_of_memory, is_out_of_memory

GPU = 'CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 11.00 GiB.'


def fail(*args, **kwargs):
    raise torch.OutOfMemoryError(GPU)


def run(command, *arguments):
    with pytest.raises(SystemExit) as ended:
        command.main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.mark.slow
def test_in_training_validation_and_testing(tiny_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ('--cfg-options', 'train_dataloader.batch_size=2')
    with monkeypatch.context() as patch:
        patch.setattr(RetinaNet, 'loss', fail)
        assert run(train_command, tiny_config, *options) == 2
    said = capsys.readouterr().err
    assert 'Traceback' not in said
    assert 'in training, iteration 1: CUDA out of memory. Tried' in said
    for option in ('--amp', '--split-batch 2', 'model.backbone.with_cp=True'):
        assert option in said
    assert '--resume' not in said  # nothing was saved yet

    with monkeypatch.context() as patch:
        patch.setattr(RetinaNet, 'predict', fail)
        patch.setattr(RetinaNet, 'loss', lambda *args: {'loss': args[0].backbone.word_pos.sum()})
        options = (*options, 'val_dataloader.batch_size=2')
        assert run(train_command, tiny_config, *options) == 2
        said = capsys.readouterr().err
        assert 'in validation: ' in said
        assert 'val_dataloader.batch_size=1' in said
        assert '--no-validate' in said
        assert '--split-batch' not in said
        assert '--resume' in said  # the epoch was saved before

        checkpoint = tmp_path / 'work_dirs/tiny/epoch_1.pth'
        assert run(test_command, tiny_config, checkpoint) == 2
        said = capsys.readouterr().err
        assert 'in testing: ' in said
        assert '--amp' not in said  # MMDetection tests in float32


def test_what_counts_as_out_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)  # PyTorch's own, on this CPU
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError(GPU))
    text = 'CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`'
    assert is_out_of_memory(RuntimeError(text))
    for other in (RuntimeError('shape mismatch'), ValueError('CUDA out of memory')):
        assert not is_out_of_memory(other)


def test_other_errors_pass(tiny_config):
    cfg = Config.fromfile(tiny_config)
    for error in (RuntimeError('x'), KeyError('y')):
        with pytest.raises(type(error)) as caught, advice_when_out_of_memory(cfg):
            raise error
        assert caught.value is error


def test_only_options_that_are_not_in_use(tiny_config, tmp_path):
    cfg = Config.fromfile(tiny_config)
    cfg.work_dir = str(tmp_path)
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.model.backbone.with_cp = True
    text = advice(cfg, 'training')
    assert 'smaller images' in text
    assert not any(word in text for word in ('--amp', '--split-batch', 'with_cp', '--resume'))
    cfg.train_dataloader.batch_size = 9
    (tmp_path / 'last_checkpoint').touch()
    text = advice(cfg, 'training')
    assert '--split-batch 3' in text
    assert '--resume' in text
    cfg.split_batch = 3
    assert '--split-batch 9' in advice(cfg, 'training')  # in all, not on top


def test_segmentors_have_windows(tmp_path):
    cfg = Config(
        dict(
            default_scope='mmseg',
            model=dict(test_cfg=dict(mode='whole')),
            test_dataloader=dict(batch_size=1),
            work_dir=str(tmp_path),
        )
    )
    text = advice(cfg, 'testing')
    assert 'model.test_cfg.mode=slide' in text
    assert '--amp' in text
    assert 'batch_size' not in text
