"""Runs tests in forks of one process that has imported the libraries, on request.

    PYTHONPATH=COPY python runner.py COPY [MODULE ...] < requests > answers

A request is a line of JSON with ``paths`` (files and folders of tests), ``limit`` (seconds),
``chosen`` (ids of tests in the order to run them, or null for all) and ``known`` (ids of all tests
that there were; one with another id runs, too). The answer is a line of JSON with ``outcome``,
``seconds``, ``test`` (what failed first), and after a request for all tests also ``tests``: for
each test its seconds and the lines of the package that it executes.
"""

import gc
import importlib
import inspect
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


class Watch:
    """Notes what fails first, and if asked how long each test takes and which lines it runs."""

    def __init__(self, package: str, chosen: list[str] | None, known: list[str]) -> None:
        self.package = package
        self.chosen = chosen
        self.known = set(known)
        self.failed = ''
        self.tests: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, set[int]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen tests, in their order."""
        if self.chosen is None:
            return
        place = {name: number for number, name in enumerate(self.chosen)}
        kept = [item for item in items if item.nodeid in place or item.nodeid not in self.known]
        items[:] = sorted(kept, key=lambda item: place.get(item.nodeid, len(place)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note seconds and lines of a test, if all run."""
        if self.chosen is not None:
            return (yield)
        self.lines.clear()
        start = time.monotonic()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            self.tests[item.nodeid] = {
                'seconds': time.monotonic() - start,
                'lines': {file: sorted(lines) for file, lines in self.lines.items()},
            }

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(self.package):
            return None
        if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            return None  # a module or a class: it runs at the first import, for all tests
        lines = self.lines[str(Path(file).relative_to(Path(self.package).parent))]

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            lines.add(frame.f_lineno)
            return step

        return step

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the first failure."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note the first file that cannot be imported."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


def run_here(request: dict[str, Any], package: str, answer: str) -> None:
    """Run the tests of a request in this process, and write what happened to a file."""
    os.setsid()
    sys.argv = ['pytest']
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    watch = Watch(package, request['chosen'], request['known'])
    options = ['-x', '-q', '--tb=no', '-p', 'no:cacheprovider']
    code = int(pytest.main([*options, *request['paths']], plugins=[watch]))
    content = {'code': code, 'test': watch.failed, 'tests': watch.tests}
    Path(answer).write_text(json.dumps(content))


def run_in_fork(request: dict[str, Any], package: str, answer: str) -> dict[str, Any]:
    """Return what happened to the tests of a request."""
    Path(answer).unlink(missing_ok=True)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            run_here(request, package, answer)
        finally:
            os._exit(0)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() - start > request['limit']:
            os.killpg(child, signal.SIGKILL)  # with the processes that the tests started
            os.waitpid(child, 0)
            return {'outcome': 'timeout', 'seconds': request['limit'], 'test': '', 'tests': {}}
        time.sleep(0.02)
    seconds = time.monotonic() - start
    if not Path(answer).exists():
        return {'outcome': 'killed', 'seconds': seconds, 'test': 'the process died', 'tests': {}}
    content = json.loads(Path(answer).read_text())
    code = content.pop('code')
    content['test'] = content['test'] or (f'pytest ended with {code}' if code else '')
    return {'outcome': 'killed' if code else 'survived', 'seconds': seconds, **content}


def main() -> None:
    """Answer requests until there are no more."""
    root, *modules = sys.argv[1:]
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what libraries print is no answer
    os.chdir(root)
    for module in modules:
        importlib.import_module(module)
    os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'  # no test needs any, and they take long
    gc.freeze()  # pytest collects garbage at the end of each run
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            answer = run_in_fork(json.loads(line), f'{root}/tnt_backbone', f'{folder}/answer')
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == '__main__':
    main()
