"""Package definition of tnt-backbone.

`install_requires` names no OpenMMLab library: they exist under two sets of distribution names
with the same modules (upstream and the maintained `onedl-` forks), so naming one would install it
over the other. The extras `openmmlab`, `openmmlab-lite` and `onedl` choose. Exact versions:
requirements/pins.txt.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Returns the version without importing the package, which needs torch."""
    text = (ROOT / 'tnt_backbone' / 'version.py').read_text(encoding='utf-8')
    found = re.search(r"^__version__ = ['\"]([^'\"]+)['\"]", text, flags=re.MULTILINE)
    if found is None:
        raise ValueError("tnt_backbone/version.py must hold a line __version__ = 'X.Y.Z'")
    return found.group(1)


def read_long_description() -> str:
    """Returns README.md, or nothing where a source tree comes without it."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


class BuildWithConfigs(build_py):
    """Puts configs, tools and the index into ``tnt_backbone/.mim``, where MIM looks for them."""

    def run(self) -> None:
        """Build the package, then copy."""
        super().run()
        if self.editable_mode:  # the checkout has them
            return
        target = Path(self.build_lib, 'tnt_backbone', '.mim')
        shutil.rmtree(target, ignore_errors=True)
        for name in ('configs', 'tools'):
            ignored = shutil.ignore_patterns('__pycache__', 'compatibility')
            shutil.copytree(ROOT / name, target / name, ignore=ignored)
        shutil.copy(ROOT / 'model-index.yml', target)


# faster-coco-eval is optional: with it, COCO's numbers take less time.
# mmdet 3.3 refuses mmcv 2.2, mmsegmentation 1.2 imports ftfy and regex without requiring them, and
# mmcv and mmengine import pkg_resources, which setuptools 82 removed.
MMPRETRAIN = [
    'mmengine',
    'mmpretrain',
    'prettytable',
    'safetensors',
    'torchvision',
    'tqdm',
    'opencv-python-headless<5',
    'setuptools<82',
]
OPENMMLAB = [*MMPRETRAIN, 'mmdet', 'mmsegmentation', 'faster-coco-eval', 'ftfy', 'regex']

setup(
    name='tnt-backbone',
    version=read_version(),
    description='Transformer in Transformer (TNT) backbones for MMDetection, MMSegmentation and '
    'MMPreTrain',
    long_description=read_long_description(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['tnt_backbone', 'tnt_backbone.*']),
    entry_points={'console_scripts': ['tnt = tnt_backbone.cli.tnt:main']},
    package_data={
        'tnt_backbone': [
            'app/page.css',
            'checkpoints/published.json',
            'doctor/known_errors.toml',
            'look/page.html',
            'ops/native.cpp',
            'predict/digits.pth',
            'report/templates/*.html',
        ],
    },
    cmdclass={'build_py': BuildWithConfigs},
    python_requires='>=3.11',
    install_requires=['torch'],
    extras_require={
        'openmmlab': ['mmcv<2.2', *OPENMMLAB],
        # without mmcv's compiled operators: tools/setup_env.sh --no-compile adds replacements
        'openmmlab-lite': ['mmcv-lite<2.2', *OPENMMLAB],
        # classifiers only, without a compiler; tnt new reads data of all tasks with one code
        'classify': ['mmcv-lite<2.2', *MMPRETRAIN, 'pycocotools'],
        'onedl': [
            'onedl-mmcv',
            'onedl-mmengine',
            'onedl-mmdetection',
            'onedl-mmsegmentation',
            'onedl-mmpretrain',
            'faster-coco-eval',
            'ftfy',
            'regex',
            'prettytable',
            'safetensors',
            'torchvision',
            'tqdm',
            'opencv-python-headless<5',
        ],
        'export': ['onnx', 'onnxruntime', 'onnxscript'],
        # tnt export --out FILE.xml; tnt predict FILE.xml
        'openvino': ['openvino'],
        # tnt predict FILE.onnx
        'run': [
            'numpy',
            'onnxruntime',
            'opencv-python-headless<5',
            'pillow',
            'pycocotools',
            'tqdm',
        ],
        'tiles': ['sahi'],
        # tnt look --cam METHOD; tnt embed --out FILE.parquet
        'look': ['grad-cam', 'pyarrow'],
        # tnt app
        'app': ['gradio'],
        'demo': ['matplotlib', 'scikit-learn'],
        # bash tools/docs.sh
        'docs': ['furo', 'myst-parser', 'sphinx', 'sphinx-copybutton'],
        'test': [
            'grad-cam',
            'gradio',
            'hypothesis',
            'ipykernel',
            'labelformat',
            'mypy',
            'nbclient',
            'nbformat',
            'onnx',
            'onnxruntime',
            'onnxscript',
            'playwright',
            'psutil',
            'pyarrow',
            'pytest',
            'pytest-xdist',
            'ruff',
            'sahi',
            'segmentation-models-pytorch',
            'sybil',
            'tensorboard',
            'timm',
        ],
        # What compiling mmcv's operators needs (tools/setup_env.sh), and uv for machines without.
        'build': ['ninja', 'packaging', 'pip', 'setuptools<82', 'uv', 'wheel'],
    },
    classifiers=[
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
