"""Checkpoints that a killed process or a full disk cannot take away.

mmengine 0.10.7 writes a checkpoint in its place, after it has deleted the oldest one.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mmengine.dist import get_world_size, is_main_process, master_only
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, save_checkpoint

from .disk_room import check_room
from .safe_file import BACKEND, remove_partial_files, write_safely
from .step_in_parts import images_per_step


def make_checkpoints_safe(runner: Runner) -> None:
    """Let the Runner's checkpoint hooks save safely, with all their options.

    Only mmengine's own hook is changed, not a subclass of somebody else.
    """
    for hook in runner.hooks:
        if type(hook) is CheckpointHook:
            hook.__class__ = SafeCheckpointHook  # however a config names it: text, class or scope


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's hook, with another order: the new file is complete before an old one goes.

    Local files are written by :func:`~tnt_backbone.engine.safe_file.write_safely`. A failure ends
    the training at once, and the older checkpoints stay. To go on would be worse: hours later, all
    the steps since the last checkpoint would be lost with the machine.
    """

    file_backend: Any
    best_ckpt_path: str | None
    out_dir: Any

    def before_train(self, runner: Runner) -> None:
        """Choose the file backend, and clear what a killed process has left."""
        super().before_train(runner)
        if type(self.file_backend) is LocalBackend:  # others have their own promises
            self.backend_args = {'backend': BACKEND}
            self.file_backend = get_file_backend(backend_args=self.backend_args)
            if is_main_process():
                for name in remove_partial_files(self.out_dir):
                    runner.logger.warning(f'Removed {name}, which an earlier run has not completed')
                check_room(runner, self, self.out_dir)
        self._keep_best_of_others(runner)

    def _keep_best_of_others(self, runner: Runner) -> None:
        """Let a run that was resumed from another folder not delete what is there."""
        if getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = self._in_own_folder(runner, self.best_ckpt_path)
        for key, path in getattr(self, 'best_ckpt_path_dict', {}).items():
            self.best_ckpt_path_dict[key] = self._in_own_folder(runner, path)

    def _in_own_folder(self, runner: Runner, path: str | None) -> str | None:
        if not path or self._is_own(path):
            return path
        own = self.file_backend.join_path(self.out_dir, Path(path).name)
        if self.file_backend.exists(own):  # the folder was moved or copied
            return own
        runner.logger.warning(
            f'The best checkpoint so far is {path}, in the folder of another run. It stays there'
        )
        return path

    def _is_own(self, path: str) -> bool:
        return os.path.realpath(Path(path).parent) == os.path.realpath(self.out_dir)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        outdated = None
        if self.max_keep_ckpts > 0 and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.keep_ckpt_ids.popleft()
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        if isinstance(runner.cfg.get('train_dataloader'), dict):
            meta['images_per_step'] = images_per_step(runner.cfg, get_world_size())
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        write_safely(Path(runner.work_dir) / 'last_checkpoint', str(self.last_ckpt).encode())
        if outdated is not None:
            name = self.filename_tmpl.format(outdated)
            _remove(self.file_backend, self.file_backend.join_path(self.out_dir, name))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        backend = self.file_backend
        self.file_backend = later = _RemovesLater(backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        best = {
            getattr(self, 'best_ckpt_path', None),
            *getattr(self, 'best_ckpt_path_dict', {}).values(),
        }
        for path, remove in later.asked:
            if path not in best and self._is_own(path):
                remove(path)

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str | None) -> None:
        """Publish a checkpoint, if there is one, into the own folder."""
        if not ckpt_path:
            runner.logger.warning('published_keys: a score of save_best has no best checkpoint')
            return
        if not self.file_backend.exists(ckpt_path):
            runner.logger.warning(f'published_keys: {ckpt_path} is gone and is not published')
            return

        def save(checkpoint: Any, path: str, **options: Any) -> None:
            if not self._is_own(path):
                path = self.file_backend.join_path(self.out_dir, Path(path).name)
                runner.logger.info(f'Published to {path}, since {ckpt_path} is of another run')
            save_checkpoint(checkpoint, path, **{'backend_args': self.backend_args, **options})

        with patch('mmengine.runner.save_checkpoint', save):
            super()._publish_model(runner, ckpt_path)


class _RemovesLater:
    """A file backend that keeps a list of what it is asked to remove, and how."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.asked: list[tuple[str, Callable[[str], None]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.asked.append((path, self._backend.remove))

    def rmtree(self, path: str) -> None:
        self.asked.append((path, self._backend.rmtree))


def _remove(backend: Any, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # deepspeed saves folders
        backend.rmtree(path)
