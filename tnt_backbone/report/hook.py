"""Collects the numbers of a test while it runs, and writes its page when it has ended."""

import logging
import time
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, collect_results, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..engine.peak_memory import peak_memory_mb
from .record import recorder_for
from .results import Results, finite_or_none, read_palette

PAGE = 'report.html'


@HOOKS.register_module()
class ReportHook(Hook):
    """Keep numbers of each tested picture; :meth:`write` makes the page.

    A fault of the report is a warning, with its traceback in the log file. The test goes on.

    Args:
        checkpoint: Path of what is tested.
    """

    priority = 'LOWEST'  # after the log and the drawing of a batch

    def __init__(self, checkpoint: str = '') -> None:
        self.checkpoint = checkpoint
        self.results: Results | None = None
        self._recorder: Any = None
        self._has_failed = False
        self._seconds = 0.0  # that the report itself took
        self._records: list[dict[str, Any]] = []

    def before_test_epoch(self, runner: Runner) -> None:
        """Forget an earlier test, and look at the clock."""
        self._recorder, self._records, self._has_failed = None, [], False
        self.results = None
        self._started = time.perf_counter()

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Record a batch. There is one entry per picture in any case, so that processes agree."""
        started = time.perf_counter()
        samples = list(outputs or ())
        records: Sequence[dict[str, Any]] = [{}] * len(samples)  # mmengine would drop None
        if not self._has_failed:
            try:
                records = self._record(runner, samples)
            except Exception as error:  # whatever a user's model returns
                self._fail(runner, error)
        self._records.extend(records)
        self._seconds += time.perf_counter() - started

    def _record(self, runner: Runner, samples: list[Any]) -> list[dict[str, Any]]:
        if self._recorder is None and samples:
            classes = _dataset_meta(runner).get('classes') or ()
            self._recorder = recorder_for(samples[0], classes, runner.test_loop.evaluator.metrics)
        return self._recorder.record(samples) if samples else []

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Bring the records of all processes together."""
        seconds = time.perf_counter() - self._started
        peaks = all_gather_object(peak_memory_mb())
        loop, mine, self._records = runner.test_loop, self._records, []
        evaluators = getattr(getattr(loop, 'evaluator', None), 'metrics', None)
        device = evaluators[0].collect_device if evaluators else 'cpu'  # the way of the metrics
        try:
            records = collect_results(mine, len(loop.dataloader.dataset), device)
            if is_main_process() and not self._has_failed:
                self.results = self._results(runner, records or [], metrics or {}, seconds, peaks)
        except Exception as error:
            self._fail(runner, error)

    def _results(
        self,
        runner: Runner,
        records: list[Any],
        metrics: dict[str, float],
        seconds: float,
        peaks: list[float],
    ) -> Results | None:
        if not records or not all(records):
            runner.logger.warning('There is no report: not all pictures were recorded')
            return None
        from mmengine.utils.dl_utils import collect_env

        environment = {key: str(value) for key, value in collect_env().items()}
        return Results(
            task=self._recorder.task,
            classes=self._recorder.classes,
            metrics=finite_or_none(metrics),
            pictures=records,
            checkpoint=self.checkpoint,
            config=runner.cfg.pretty_text,
            environment=environment,
            seconds=seconds,
            peak_memory_mb=peaks,
            created=datetime.now().astimezone().isoformat(sep=' ', timespec='seconds'),
            notes=self._recorder.notes,
            palette=read_palette(_dataset_meta(runner).get('palette')),
        )

    def write(self, runner: Runner) -> Path | None:
        """Write the numbers and the page into the folder of the log.

        Returns:
            The page, or ``None`` if there is none, or in processes other than the first.
        """
        if self.results is None:
            return None
        started = time.perf_counter()
        try:
            from .page import report_page, write_page
            from .runs import find_run

            self.results.write(runner.log_dir)
            self.results = None
            page = write_page(Path(runner.log_dir, PAGE), report_page([find_run(runner.log_dir)]))
        except Exception as error:
            self._fail(runner, error)
            return None
        self._seconds += time.perf_counter() - started
        runner.logger.info(f'report: {page} (it took {self._seconds:.1f} s)')
        return page

    def _fail(self, runner: Runner, error: Exception) -> None:
        """Warn once on the console; the traceback goes into the log file."""
        self._has_failed = True
        runner.logger.warning(
            f'There is no report of this test ({type(error).__name__}: {error}). The test itself '
            'is not affected. --no-report switches the report off'
        )
        details = ''.join(traceback.format_exception(error))
        record = runner.logger.makeRecord(
            runner.logger.name, logging.WARNING, __file__, 0, details, (), None
        )
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handle(record)


def _dataset_meta(runner: Runner) -> dict[str, Any]:
    return getattr(runner.test_loop.evaluator, 'dataset_meta', None) or {}
