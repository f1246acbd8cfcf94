"""Checkpoints of a training, by mmengine's Runner: what is there after each kind of failure."""

import errno
import math
import os
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook

from tests.engine.toy_run import toy_runner
from tnt_backbone.checkpoints.read import read_meta
from tnt_backbone.checkpoints.safe_globals import training_checkpoints_are_safe
from tnt_backbone.engine.safe_checkpoint import SafeCheckpointHook, make_checkpoints_safe
from tnt_backbone.errors import DiskError


def safe_runner(*args, **kwargs):
    runner = toy_runner(*args, **kwargs)
    make_checkpoints_safe(runner)
    return runner


def two_scores(*args, **kwargs):
    """Return a run that also has a score which never changes."""
    runner = safe_runner(*args, **kwargs)
    build = runner.build_evaluator

    def build_two(config):
        evaluator = build(config)
        one = evaluator.evaluate
        evaluator.evaluate = lambda size: {'acc2': 1.0, **one(size)}
        return evaluator

    runner.build_evaluator = build_two
    return runner


def files(folder):
    """Return the names in a folder, without mmengine's copy of the config."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix != '.py')


def load(path):
    with training_checkpoints_are_safe():
        return torch.load(path, weights_only=True)


def events(monkeypatch):
    """Return a list that gets the names of files, as they are put in place and removed."""
    log = []
    replace, remove = os.replace, LocalBackend.remove

    def note_replace(source, target):
        replace(source, target)
        log.append(f'+{Path(target).name}')

    def note_remove(self, path):
        log.append(f'-{Path(path).name}')
        remove(self, path)

    monkeypatch.setattr(os, 'replace', note_replace)
    monkeypatch.setattr(LocalBackend, 'remove', note_remove)
    return log


def test_only_mmengines_own_hook_is_changed_with_all_its_options(tmp_path):
    class Own(CheckpointHook):
        pass

    options = {'max_keep_ckpts': 2, 'filename_tmpl': 'at_{}.pth', 'save_optimizer': False}
    runner = toy_runner(tmp_path, checkpoint=options)
    runner.register_hook(Own(save_last=False))
    plain = dict(next(hook for hook in runner.hooks if type(hook) is CheckpointHook).__dict__)
    make_checkpoints_safe(runner)
    safe, own = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    assert (type(safe), type(own)) == (SafeCheckpointHook, Own)
    assert safe.__dict__ == plain
    runner.train()
    assert files(tmp_path) == ['at_2.pth', 'at_3.pth', 'last_checkpoint']
    assert 'optimizer' not in load(tmp_path / 'at_3.pth')


def test_the_new_file_is_there_before_the_old_one_goes(tmp_path, monkeypatch):
    log = events(monkeypatch)
    options = {'max_keep_ckpts': 1, 'save_best': 'acc'}
    safe_runner(tmp_path, checkpoint=options, scores=[0.5, 0.4, 0.6]).train()
    last = '+last_checkpoint'
    assert log == [
        *('+epoch_1.pth', last, '+best_acc_epoch_1.pth', '+epoch_1.pth', last),
        *('+epoch_2.pth', last, '-epoch_1.pth'),
        *('+epoch_3.pth', last, '-epoch_2.pth'),
        *('+best_acc_epoch_3.pth', '+epoch_3.pth', last, '-best_acc_epoch_1.pth'),
    ]
    assert load(tmp_path / 'epoch_3.pth')['message_hub']['runtime_info']['best_score'] == 0.6


@pytest.mark.parametrize('at', ['epoch_2.pth', 'last_checkpoint', 'best_acc_epoch_2.pth'])
def test_a_failing_disk_ends_the_training_and_takes_nothing(tmp_path, monkeypatch, at):
    replace = os.replace

    def fail(source, target):
        if Path(target).name == at and (at != 'last_checkpoint' or Path(target).exists()):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(source, target)

    monkeypatch.setattr(os, 'replace', fail)
    options = {'max_keep_ckpts': 1, 'save_best': 'acc'}
    with pytest.raises(DiskError, match=at):
        safe_runner(tmp_path, checkpoint=options, scores=[0.5, 0.6]).train()
    left = files(tmp_path)
    assert {'best_acc_epoch_1.pth', 'last_checkpoint'} <= set(left)
    assert ('epoch_1.pth' in left) == (at != 'best_acc_epoch_2.pth')
    assert not any(name.endswith('.partial') for name in left)
    last = (tmp_path / 'last_checkpoint').read_text()
    assert load(last)['meta']['epoch'] == (2 if at == 'best_acc_epoch_2.pth' else 1)


def test_several_best_ones_and_the_published_one(tmp_path, monkeypatch):
    log = events(monkeypatch)
    options = {'save_best': ['acc', 'acc2'], 'rule': 'greater', 'published_keys': ['state_dict']}
    two_scores(tmp_path, end=2, checkpoint=options, scores=[1.0, 2.0]).train()
    left = files(tmp_path)
    assert {'best_acc_epoch_2.pth', 'best_acc2_epoch_1.pth'} <= set(left)
    assert 'best_acc_epoch_1.pth' not in left
    published = [name for name in left if name.startswith('epoch_2-')]
    assert len(published) == 1
    assert f'+{published[0]}' in log
    assert list(load(tmp_path / published[0])) == ['state_dict']


def test_a_run_resumed_elsewhere_leaves_the_old_one_untouched(tmp_path):
    options = {'max_keep_ckpts': 1, 'save_best': 'acc'}
    old, new = tmp_path / 'old', tmp_path / 'new'
    safe_runner(old, end=1, checkpoint=options, scores=[0.5]).train()
    before = {path: path.read_bytes() for path in old.iterdir() if path.is_file()}
    resume = {'load_from': str(old / 'epoch_1.pth'), 'resume': True}
    safe_runner(new, end=2, checkpoint=options, scores=[0.9], **resume).train()
    assert {path: path.read_bytes() for path in old.iterdir() if path.is_file()} == before
    assert files(new) == ['best_acc_epoch_2.pth', 'epoch_2.pth', 'last_checkpoint']

    moved = new.rename(tmp_path / 'moved')  # then its own best one is replaced
    resume['load_from'] = str(moved / 'epoch_2.pth')
    safe_runner(moved, end=3, checkpoint=options, scores=[0.95], **resume).train()
    assert files(moved) == ['best_acc_epoch_3.pth', 'epoch_3.pth', 'last_checkpoint']


def test_the_best_one_of_another_run_is_still_the_best_and_is_published_here(tmp_path):
    """As in mmengine, whose own hook would publish it beside the old one."""
    options = {'save_best': ['acc', 'acc2'], 'rule': 'greater', 'published_keys': ['state_dict']}
    old, new = tmp_path / 'old', tmp_path / 'new'
    two_scores(old, end=1, checkpoint=options, scores=[0.5]).train()
    before = files(old)
    resume = {'load_from': str(old / 'epoch_1.pth'), 'resume': True}
    (old / 'best_acc2_epoch_1.pth').unlink()  # that one is gone
    runner = two_scores(new, end=2, checkpoint=options, scores=[0.4], **resume)
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    assert hook.best_ckpt_path_dict['acc'] == str(old / 'best_acc_epoch_1.pth')
    assert files(old) == [name for name in before if name != 'best_acc2_epoch_1.pth']
    best = [name for name in files(new) if name.startswith('best_')]
    assert len(best) == 1
    assert list(load(new / best[0])) == ['state_dict']


def test_a_score_that_was_never_best_publishes_nothing(tmp_path):
    options = {'save_best': ['acc', 'acc2'], 'rule': 'greater', 'published_keys': ['state_dict']}
    two_scores(tmp_path, end=1, checkpoint=options, scores=[math.nan]).train()
    assert [name for name in files(tmp_path) if name.startswith('best_acc_')] == []
    assert len([name for name in files(tmp_path) if name.startswith('best_acc2_')]) == 2


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / 'epoch_1.pth.partial').write_bytes(b'half')
    safe_runner(tmp_path, end=1).train()
    assert files(tmp_path) == ['epoch_1.pth', 'last_checkpoint']


@register_backend('elsewhere')
class Elsewhere(LocalBackend):
    """Stands for an object store."""


def test_another_backend_is_asked_once_about_a_file_to_remove(tmp_path, monkeypatch):
    """Each question to an object store takes time; mmengine's tests count them."""
    asked, isfile = [], LocalBackend.isfile
    monkeypatch.setattr(
        Elsewhere, 'isfile', lambda self, path: asked.append(Path(path).name) or isfile(self, path)
    )
    options = {'save_best': 'acc', 'backend_args': {'backend': 'elsewhere'}}
    safe_runner(tmp_path, end=2, checkpoint=options, scores=[0.5, 0.6]).train()
    assert asked == ['best_acc_epoch_1.pth']
    assert 'best_acc_epoch_1.pth' not in files(tmp_path)


def test_other_backends_are_left_alone(tmp_path, monkeypatch):
    log = events(monkeypatch)
    safe_runner(tmp_path, end=1, checkpoint={'backend_args': {'backend': 'elsewhere'}}).train()
    assert files(tmp_path) == ['epoch_1.pth', 'last_checkpoint']
    assert log == ['+last_checkpoint']  # mmengine writes that one to the work folder itself


def test_the_files_are_those_of_mmengine(tmp_path):
    """The same content, apart from the time."""
    ours, theirs = tmp_path / 'a', tmp_path / 'b'
    for folder, build in ((ours, safe_runner), (theirs, toy_runner)):
        build(folder, end=2, randomness={'seed': 3}).train()
    one, other = (load(folder / 'epoch_2.pth') for folder in (ours, theirs))
    assert list(one) == list(other)
    torch.testing.assert_close(one['state_dict'], other['state_dict'], rtol=0, atol=0)
    torch.testing.assert_close(one['optimizer'], other['optimizer'], rtol=0, atol=0)


def test_a_checkpoint_knows_the_images_of_a_step(tmp_path):
    loader = {'batch_size': 3}
    runner = toy_runner(
        tmp_path,
        end=1,
        cfg={'train_dataloader': loader, 'optim_wrapper': {'accumulative_counts': 2}},
    )
    make_checkpoints_safe(runner)
    runner.train()
    assert read_meta(str(tmp_path / 'epoch_1.pth'))['images_per_step'] == 6
