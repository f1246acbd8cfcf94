import os
from pathlib import Path
import pytest
from tests import fences
from tests.test_fences import clone, folder  # noqa

def test_it(folder):
    fences.make_weights(folder)
    python = fences.Python(folder)
    for fence in fences.fences(Path(os.environ['PAGE'])):
        print('>>>', fence.line, fence.not_run, flush=True)
        if fence.not_run: continue
        try:
            fences.run_bash(fence, folder) if fence.language == 'bash' else python.run(fence)
        except Exception as error:
            print('FAILED', fence.line, str(error)[-1500:], flush=True)
