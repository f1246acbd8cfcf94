"""Names of torch and OpenMMLab that are not public, and that this package reads.

A version that renames one fails here with the name, not in a training.
"""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import tnt_backbone

ROOT = Path(__file__).parents[1]
STANDARD = {'_asdict', '_make', '_replace', '_exit', '_run_exitfuncs', '_option_string_actions'}
OURS = {'_init_module', '_resize_tables', '_transform_inputs'}  # or mmseg's, a head's own

# name: the module, class or function that has it, or whose code mentions it
PLACES = {
    '_C': 'torch',
    '_are_functorch_transforms_active': 'torch._C',
    '_functorch': 'torch._C',
    '_current_level': 'torch.autograd.forward_ad',
    '_backward_hooks': 'torch.nn.Module',
    '_buffers': 'torch.nn.Module',
    '_non_persistent_buffers_set': 'torch.nn.Module',
    '_parameters': 'torch.nn.Module',
    '_backward_pre_hooks': 'torch.nn.Module',
    '_forward_hooks': 'torch.nn.Module',
    '_forward_pre_hooks': 'torch.nn.Module',
    '_has_any_global_hook': 'torch.nn.modules.module',
    '_load_from_state_dict': 'torch.nn.Module',
    '_metadata': 'torch.nn.Module.state_dict',
    '_foreach_norm': 'torch',
    '_softmax_backward_data': 'torch.ops.aten',
    '_dynamo_marked_constant': 'torch._dynamo.decorators.assume_constant_result',
    '_BatchNorm': 'torch.nn.modules.batchnorm',
    '_pytree': 'torch.utils',
    '_get_default_store': 'torch.distributed.distributed_c10d',
    '_deform_conv2d_backward': 'torchvision',
    '_roi_align_backward': 'torchvision',
    # torchrun's agent
    '_invoke_run': 'torch.distributed.launcher.api.LocalElasticAgent',
    '_monitor_workers': 'torch.distributed.launcher.api.LocalElasticAgent',
    '_shutdown': 'torch.distributed.launcher.api.LocalElasticAgent',
    '_pcontext': 'torch.distributed.launcher.api.LocalElasticAgent',
    '_remaining_restarts': 'torch.distributed.launcher.api.LocalElasticAgent',
    '_state_holder': (
        'torch.distributed.elastic.rendezvous.dynamic_rendezvous.DynamicRendezvousHandler'
    ),
    # mmengine
    '_cfg_dict': 'mmengine.config.Config',
    '_decide_current_val_interval': 'mmengine.runner.EpochBasedTrainLoop',
    '_load_from': 'mmengine.runner.Runner',
    '_randomness_cfg': 'mmengine.runner.Runner',
    '_resume': 'mmengine.runner.Runner',
    '_train_dataloader': 'mmengine.runner.Runner',
    '_train_loop': 'mmengine.runner.Runner',
    '_val_dataloader': 'mmengine.runner.Runner',
    '_run_forward': 'mmengine.model.BaseModel',
    '_channel_conversion': 'mmengine.model.ImgDataPreprocessor',
    '_enable_normalize': 'mmengine.model.ImgDataPreprocessor',
    '_save_checkpoint': 'mmengine.hooks.CheckpointHook',
    '_publish_model': 'mmengine.hooks.CheckpointHook',
    '_save_best_checkpoint': 'mmengine.hooks.CheckpointHook',
    '_schemes': 'mmengine.runner.CheckpointLoader',
    '_indices': 'mmengine.dataset.BaseDataset',
    '_metainfo': 'mmengine.dataset.BaseDataset',
    '_vis_backends': 'mmengine.visualization.Visualizer',
    '_img_save_dir': 'mmengine.visualization.LocalVisBackend',
    '_init_rule': 'mmengine.hooks.CheckpointHook',
    '_init_model': 'mmengine.infer.BaseInferencer',
    # the libraries
    '_visualizer': 'mmseg.engine.SegVisualizationHook',
    '_coco_api': 'mmdet.evaluation.CocoMetric',
    '_features': 'timm.models',
}


def is_private(name):
    return name.startswith('_') and not name.startswith('__') and name != '_'


def names_of_others():
    """Return the private names that are used in this project and defined nowhere in it."""
    used, defined = set(), set()
    for path in [*ROOT.glob('tnt_backbone/**/*.py'), *ROOT.glob('tools/*.py')]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                is_annotated_only = node.id in ('_pcontext', '_visualizer')
                defined.update(() if is_annotated_only else (node.id,))
            elif isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value)
                if isinstance(node.ctx, ast.Store) and owner == 'self':
                    defined.add(node.attr)
                elif is_private(node.attr):
                    used.add((node.attr, owner == 'super()'))
            elif isinstance(node, ast.ImportFrom) and not node.level:
                parts = {*(node.module or '').split('.'), *(alias.name for alias in node.names)}
                used.update((part, False) for part in parts if is_private(part))
    # what calls a method of the class above has the same name
    return {name for name, is_above in used if is_above or name not in defined} - STANDARD - OURS


def test_every_name_is_in_the_table():
    # an augmented assignment is no definition
    assert names_of_others() | {'_remaining_restarts', '_metadata', '_init_model'} == set(PLACES)


@pytest.mark.parametrize('name', PLACES)
def test_the_libraries_have_the_name(name):
    path = PLACES[name].split('.')
    if path[0] == 'timm':
        pytest.importorskip('timm')
    for length in range(len(path), 0, -1):
        try:
            place = importlib.import_module('.'.join(path[:length]))
            break
        except ModuleNotFoundError:
            continue
    for part in path[length:]:
        place = getattr(place, part)
    if PLACES[name] == 'torchvision':
        place = importlib.import_module('torch').ops.torchvision
    assert hasattr(place, name) or name in inspect.getsource(place), f'{PLACES[name]}: {name}'


def overrides():
    """Yield each method of this package beside the one of a library that it stands in for."""
    for info in pkgutil.walk_packages(tnt_backbone.__path__, 'tnt_backbone.'):
        if info.name.endswith('__main__') or info.name == 'tnt_backbone.doors.transformers':
            continue  # that needs transformers
        module = importlib.import_module(info.name)
        for owner in vars(module).values():
            if not inspect.isclass(owner) or owner.__module__ != info.name:
                continue
            for name, ours in vars(owner).items():
                above = next((base for base in owner.__mro__[1:] if name in vars(base)), object)
                theirs = vars(above).get(name)
                is_own = above.__module__.startswith('tnt_backbone')
                if not is_own and inspect.isfunction(ours) and inspect.isfunction(theirs):
                    yield f'{owner.__name__}.{name}', ours, theirs


def test_overrides_take_every_option_of_what_they_stand_in_for():
    """An option is what has a default; the rest is passed by its place."""
    seen, refused = 0, {}
    for name, ours, theirs in overrides():
        seen += 1
        known = inspect.signature(ours).parameters.values()
        if name.endswith('__init__') or any(p.kind is p.VAR_KEYWORD for p in known):
            continue
        options = {
            p.name
            for p in inspect.signature(theirs).parameters.values()
            if p.default is not p.empty
        }
        if missing := options - {p.name for p in known}:
            refused[name] = missing
    assert refused == {}
    assert seen > 100
