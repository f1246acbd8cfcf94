"""Models by name, and what a step does with them."""

import pytest
import torch
import zoo


@pytest.mark.parametrize(
    ('name', 'dims'),
    [('TNT:ti', 192), ('timm:resnet18', 512), ('timm:vit_tiny_patch16_224', 192)],
)
def test_one_vector_an_image(name, dims):
    model = zoo.build(name, (32, 64)).eval()
    (vectors,) = zoo.tensors(model(torch.zeros(2, 3, 32, 64)))
    assert vectors.shape == (2, dims)


def test_options_and_pyramid():
    model = zoo.build('TNT:ti+window_size=2+out_channels=(8, 8, 8, 8)', (32, 64), pyramid=True)
    assert model.out_channels == (8, 8, 8, 8)
    assert len(list(zoo.tensors(model(torch.zeros(1, 3, 32, 64))))) == 4


def test_unknown():
    with pytest.raises(ValueError, match='timm:NAME'):
        zoo.build('resnet18', (32, 32))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_step(dtype):
    model = torch.nn.Linear(4, 2)
    torch.nn.init.constant_(model.weight, 0.5)  # exact in bf16, too
    torch.nn.init.constant_(model.bias, 0.25)
    zoo.step(model, torch.ones(3, 4), dtype, backward=False)
    assert model.weight.grad is None
    zoo.step(model, torch.ones(3, 4), dtype, backward=True)
    # of the mean of the squares of 3 equal rows of 2: the row itself, 4 * 0.5 + 0.25
    assert model.weight.grad.tolist() == [[2.25] * 4] * 2


def test_function_of_a_file(tmp_path):
    file = tmp_path / 'theirs.py'
    file.write_text('def tiny(num_classes, size=2):\n    return num_classes + size\n')
    assert zoo.build(f'{file}:tiny', (32, 32)) == 2
    assert zoo.build(f'{file}:tiny+size=5', (32, 32)) == 5


def test_function_of_a_file_in_a_package(tmp_path):
    folder = tmp_path / 'their_models'
    folder.mkdir()
    (folder / '__init__.py').touch()
    (folder / 'parts.py').write_text('SIZE = 3\n')
    (folder / 'net.py').write_text(
        'from .parts import SIZE\ndef tiny(num_classes): return num_classes + SIZE\n'
    )
    assert zoo.build(f'{folder}/net.py:tiny', (32, 32)) == 3
