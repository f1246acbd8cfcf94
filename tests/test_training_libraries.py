"""The backbones inside of what others train, shrink and place them with.

These libraries are no part of the test environment: peft brings a transformers that mmpretrain
cannot be imported with. In an environment with this package:

    uv pip install accelerate peft lightning torchao pytest hypothesis
    python -m pytest -m slow tests/test_training_libraries.py
"""

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tnt_backbone.backbones import BACKBONES
from tnt_backbone.checkpoints.load import load_pretrained

pytestmark = pytest.mark.slow


def build(backbone_class, **options):
    """A small backbone of one family, without random parts."""
    torch.manual_seed(0)
    arch = dataclasses.asdict(next(iter(backbone_class.VARIANTS.values())))
    arch.update({'depths': (1, 1, 1, 1)} if 'depths' in arch else {'depth': 4})
    backbone = backbone_class(arch, img_size=64, drop_path_rate=0.0, **options)
    for module in backbone.modules():
        if isinstance(module, nn.Dropout):  # the authors' Performer has some
            module.p = 0.0
    return backbone


@pytest.fixture(params=BACKBONES, ids=lambda backbone: backbone.__name__)
def backbone(request):
    return build(request.param).eval()


@pytest.fixture
def image():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def equal(outputs, expected, **tolerances):
    for output, wanted in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, wanted, **tolerances)


class Regressor(nn.Module):
    """The backbone with a loss on all levels."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, image):
        return sum(output.square().mean() for output in self.backbone(image))


@pytest.mark.parametrize('place', ['cpu', 'disk'])
def test_offloaded_by_accelerate(backbone, image, tmp_path, place):
    accelerate = pytest.importorskip('accelerate')
    with torch.no_grad():
        expected = backbone(image)
        if place == 'cpu':
            offloaded = accelerate.cpu_offload(backbone, execution_device=torch.device('cpu'))
        else:
            offloaded = accelerate.disk_offload(backbone, tmp_path, torch.device('cpu'))
        assert any(p.is_meta for p in offloaded.parameters())
        equal(offloaded(image), expected)


def test_trained_by_accelerate(backbone, image):
    accelerate = pytest.importorskip('accelerate')
    plain = Regressor(backbone.train())
    prepared = copy.deepcopy(plain)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (plain, prepared)]
    model, optimizer = accelerator.prepare(prepared, optimizers[1])
    for _ in range(2):
        (plain(image) / 2).backward()
        with accelerator.accumulate(model):
            accelerator.backward(model(image))
            optimizer.step()
            optimizer.zero_grad()
    optimizers[0].step()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(prepared.state_dict()[name], value, msg=name)


def test_adapted_by_peft(backbone, image, tmp_path):
    peft = pytest.importorskip('peft')
    frozen = copy.deepcopy(backbone)
    config = peft.LoraConfig(target_modules=['qkv', 'proj', 'fc1', 'fc2'], r=2)
    model = peft.get_peft_model(backbone, config)
    layers = [module for module in model.modules() if isinstance(module, peft.tuners.lora.Linear)]
    assert layers
    with torch.no_grad():
        equal(model(image), frozen(image))  # B is zero
    Regressor(model)(image).backward()  # in eval: norms of batches would learn, too
    for name, p in model.named_parameters():
        assert p.requires_grad == ('lora_' in name), name
        if 'lora_B' in name:  # an adapter that the fused block left out would get no gradient
            assert p.grad is not None, name
            assert p.grad.abs().max() > 0, name
    torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=1.0).step()
    with torch.no_grad():
        adapted = model.eval()(image)
        before = frozen(image)
        assert max((a - b).abs().max() for a, b in zip(adapted, before, strict=True)) > 1e-3
        model.save_pretrained(tmp_path)
        equal(peft.PeftModel.from_pretrained(frozen, tmp_path).eval()(image), adapted)
        equal(model.merge_and_unload()(image), adapted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('precision', ['32-true', 'bf16-mixed', 'bf16-true'])
def test_trained_and_read_back_by_lightning(backbone, image, tmp_path, precision):
    lightning = pytest.importorskip('lightning')

    class Module(lightning.LightningModule):
        def __init__(self, backbone):
            super().__init__()
            self.model = Regressor(backbone)
            if precision != 'bf16-true':  # Lightning's summary does not convert it
                self.example_input_array = image[:1]

        def forward(self, image):
            return self.model.backbone(image)

        def training_step(self, batch, _index):
            return self.model(batch.to(next(self.parameters()).dtype))

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    module = Module(backbone)
    before = [p.detach().clone() for p in module.parameters()]
    trainer = lightning.Trainer(
        accelerator='cpu', max_steps=2, precision=precision, logger=False, num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=True, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(image, batch_size=1))
    changed = [
        not torch.equal(old.to(new.dtype), new)
        for old, new in zip(before, module.parameters(), strict=True)
    ]
    assert sum(changed) > 0.9 * len(changed)
    assert all(p.isfinite().all() for p in module.parameters())
    trainer.save_checkpoint(tmp_path / 'last.ckpt')
    fresh = build(type(backbone))
    load_pretrained(fresh, tmp_path / 'last.ckpt')
    trained = module.model.backbone.state_dict()
    for name, value in fresh.state_dict().items():
        torch.testing.assert_close(value, trained[name].to(value.dtype), msg=name)


def test_counted_by_lightning(backbone, image):
    lightning = pytest.importorskip('lightning')
    summaries = pytest.importorskip('lightning.pytorch.utilities.model_summary')

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.backbone = backbone
            self.example_input_array = image

        def forward(self, image):
            return self.backbone(image)

    summary = summaries.ModelSummary(Module(), max_depth=1)
    assert summary.total_parameters == sum(p.numel() for p in backbone.parameters())
    sizes = summary.out_sizes[0]
    assert [list(size) for size in sizes] == [list(level.shape) for level in backbone(image)]


def test_quantized_by_torchao(backbone, image):
    """Weights of 8 bits: as if the rounded weights stood in plain modules."""
    torchao = pytest.importorskip('torchao.quantization')
    rounded = copy.deepcopy(backbone)
    with torch.no_grad():
        expected = backbone(image)
        torchao.quantize_(rounded, torchao.Int8WeightOnlyConfig())
        linear = [m for m in rounded.modules() if isinstance(m, nn.Linear)]
        assert any(type(m.weight.data) is not torch.Tensor for m in linear)
        outputs = rounded(image)
        for output, wanted in zip(outputs, expected, strict=True):
            assert not torch.equal(output, wanted)
            assert F.cosine_similarity(output.flatten(), wanted.flatten(), dim=0) > 0.999
        plain = copy.deepcopy(backbone)
        for name, module in rounded.named_modules():
            if isinstance(module, nn.Linear) and hasattr(module.weight, 'dequantize'):
                plain.get_submodule(name).weight.copy_(module.weight.dequantize())
        equal(outputs, plain(image), rtol=1e-3, atol=1e-4)
