"""The base class of all backbones: outputs, freezing, checkpointing, weights."""

import copy
import logging
import math
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ..checkpoints import load_pretrained
from ..checkpoints.convert import saved_grid
from ..checkpoints.init_cfg import load_options, split_init_cfg
from ..errors import InputError, InputTypeError
from ..layers import keep_paths, resize_position_table
from ..layers.tiles import count_tiles
from ..log import log
from ..ops.constant import traces_any_size
from ..other_names import explain_unknown
from ..pyramid import Pyramid
from .arguments import is_whole
from .images import is_cast, require_dense_tensor
from .outputs import OutputPlan, Tap, to_map

# Schemes of weights in stock configs, which are those of other backbones
MODEL_ZOOS = ('torchvision', 'modelzoo', 'open-mmlab', 'openmmlab', 'mmcls')


class TokenBackbone(nn.Module):
    """Base class of a backbone: a stem, stages, and taps that read the output of some stages.

    A subclass plans its outputs with :func:`plan_outputs`, builds the stages that the plan needs,
    and ends its ``__init__`` with :meth:`_complete` and its ``forward`` with
    :meth:`_format_outputs`.

    It follows the protocol of mmengine's ``BaseModule`` (``init_cfg``, ``init_weights``,
    ``is_init``) but does not inherit from it, so it needs only torch.

    Attributes:
        variant: The row of ``VARIANTS`` that was built, or what ``arch`` gave.
        embed_dims: Channels of the tokens of the last stage.
        num_layers: Number of blocks that were built. Blocks after the last tap are left out.
        plan: Which stages feed which outputs. A stage is what ``frozen_stages`` counts: a block,
            in PyramidTNT a stage of blocks.
        level_channels: Channels of each level, also of those that are not returned.
        out_channels: Channels of each returned map or vector.
        out_strides: Stride of each returned map in pixels.
    """

    VARIANTS: ClassVar[dict[str, Any]]  # the rows that ``arch`` may name, smallest first
    OUT_TYPES: ClassVar[tuple[str, ...]] = ('pyramid', 'cls_token', 'avg_featmap', 'featmap', 'raw')
    POSITION_TABLE: ClassVar[str] = 'sentence_pos'
    init_cfg: Any
    variant: Any
    grid: tuple[int, int]  # of the position table
    embed_dims: int
    num_layers: int
    in_channels: int
    pad_divisor: int  # pixels; images are padded to multiples
    _awaits_weights = False  # init_cfg names weights that nobody has loaded
    _is_unset = False  # the tensors are on the meta device, or were moved from it

    def __new__(cls, *_: Any, **options: Any) -> 'TokenBackbone':
        """Check the names of the arguments before ``__init__`` sees them.

        Raises:
            TypeError: If one is unknown. The text says what it is called here.
        """
        if wrong := explain_unknown(cls, options):
            raise InputTypeError(wrong)
        return super().__new__(cls)

    def __init__(
        self,
        *,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        self.init_cfg = copy.deepcopy(init_cfg)
        self.is_init = False
        self._accept_pretrained(pretrained)
        self._awaits_weights = bool(split_init_cfg(self.init_cfg)[0])
        # mmengine saves with a function of its own, which calls these hooks, too
        self.register_state_dict_post_hook(_note_grid)

    def _complete(
        self,
        plan: OutputPlan,
        *,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        out_channels: Sequence[int] | None,
        out_strides: Sequence[int],
        frozen_stages: int,
        with_cp: bool,
        **options: Any,
    ) -> None:
        """Build what makes the outputs, then initialise and freeze; each ``__init__`` ends with it.

        Args:
            plan: Which stages feed which outputs.
            in_channels: Channels of each level's tap.
            in_strides: Stride of each level's tap, in pixels.
            out_channels: Channels of each level of the pyramid; ``None`` keeps ``in_channels``.
            out_strides: Stride of each level of the pyramid, in pixels.
            frozen_stages: See the backbones.
            with_cp: See the backbones.
            options: Of :class:`Pyramid`.

        Raises:
            ValueError: If ``frozen_stages`` is out of its range.
        """
        if not is_whole(frozen_stages) or not -1 <= frozen_stages <= plan.num_stages:
            raise InputError(
                f'frozen_stages={frozen_stages!r} must be an integer from -1 to {plan.num_stages}: '
                '-1 freezes nothing, 0 the embedding, '
                f'{plan.num_stages} all of {type(self).__name__}'
            )
        self.plan = plan
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp
        self.pyramid: Pyramid | None = None
        self.norm: nn.Module | None = None
        if plan.out_type == 'pyramid':
            self.pyramid = Pyramid(
                in_channels=in_channels,
                out_channels=out_channels,
                in_strides=in_strides,
                out_strides=out_strides,
                out_indices=plan.out_indices,
                **options,
            )
            in_channels, in_strides = out_channels or in_channels, out_strides
        elif options.get('word_channels') is not None:
            raise InputError(
                f'word_pyramid=True has no effect with out_type={plan.out_type!r}. Set '
                "out_type='pyramid', or leave word_pyramid out"
            )
        elif plan.is_whole:
            # Of the last stage only, as in mmpretrain's ViT.
            self.norm = nn.LayerNorm(self.embed_dims)
        self.level_channels = tuple(in_channels)
        self.out_channels = tuple(in_channels[i] for i in plan.out_indices)
        self.out_strides = tuple(in_strides[i] for i in plan.out_indices)
        self._is_unset = any(tensor.is_meta for tensor in self.parameters())
        for module in self.modules():
            self._init_module(module)
        self._freeze()

    @property
    def out_type(self) -> str:
        """The kind of outputs: one of ``OUT_TYPES``."""
        return self.plan.out_type

    @property
    def out_indices(self) -> tuple[int, ...]:
        """The levels that are returned, counted from 0."""
        return self.plan.out_indices

    @property
    def taps(self) -> tuple[int, ...]:
        """The stage that feeds each level, counted from 0."""
        return self.plan.taps

    @abstractmethod
    def _embedding(self) -> Iterable[nn.Module | nn.Parameter]:
        """Return the modules and parameters before the first stage."""

    @abstractmethod
    def _stages(self) -> Iterable[nn.Module]:
        """Return the stages that ``frozen_stages`` counts."""

    def reset_parameters(self) -> None:
        """Initialise all parameters and buffers anew, also those that were on ``meta``."""
        for module in self.modules():
            reset = getattr(module, 'reset_parameters', None)
            if module is not self and callable(reset):
                reset()
            self._init_module(module)
        self._is_unset = False

    def initialise_if_unset(self) -> None:
        """Initialise a backbone that was built on ``meta`` and holds unset memory."""
        if self._is_unset and not any(tensor.is_meta for tensor in self.parameters()):
            self.reset_parameters()

    def _init_module(self, module: nn.Module) -> None:
        """Initialise a module's own tensors as the authors do, where PyTorch does otherwise.

        Linear layers and tables start from truncated normals (std 0.02).
        """
        if any(tensor.is_meta for tensor in module.parameters(recurse=False)):
            return  # no values, but PyTorch would take as long as for all others
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif module is self:
            for table in self._embedding():
                if isinstance(table, nn.Parameter):
                    nn.init.trunc_normal_(table, std=0.02)

    def _accept_pretrained(self, pretrained: str | None) -> None:
        """Use the ``pretrained`` that MMSegmentation passes from ``model`` to the backbone.

        Stock configs name weights of a ResNet in a model zoo (``open-mmlab://...``). They do not
        fit another backbone and are ignored. A file, a URL or a name of ours is loaded.
        """
        if pretrained is None or pretrained is False:
            return
        if not isinstance(pretrained, str | Path):
            raise InputTypeError(
                f'pretrained={pretrained!r} does not say which weights. Pass a name such as '
                "'tnt://tnt_s', a URL or a path. In plain PyTorch, also call init_weights(), or "
                "use tnt_backbone.checkpoints.load_pretrained(backbone, 'tnt://tnt_s')"
            )
        scheme = str(pretrained).partition('://')[0] if '://' in str(pretrained) else ''
        if scheme not in ('', 'tnt', 'http', 'https', *MODEL_ZOOS):
            raise InputError(
                f'pretrained={pretrained!r} cannot be fetched here. Download the file and pass its '
                'path, or pass a name such as tnt://tnt_s or a URL'
            )
        if scheme in MODEL_ZOOS:
            log(
                f'pretrained={pretrained!r} names weights of another backbone and is ignored. '
                f'{type(self).__name__} starts from random weights. For pretrained weights, pass '
                "init_cfg=dict(type='Pretrained', checkpoint=...) to the backbone",
                level=logging.WARNING,
            )
        elif self.init_cfg:
            raise InputError(
                f'pretrained={pretrained!r} and init_cfg={self.init_cfg!r} both name weights. Pass '
                'only init_cfg'
            )
        else:
            self.init_cfg = {'type': 'Pretrained', 'checkpoint': str(pretrained)}

    def init_weights(self) -> None:
        """Apply ``init_cfg``; ``type='Pretrained'`` calls ``load_pretrained``."""
        if self.is_init:
            log(
                f'init_weights of {type(self).__name__} has been called more than once',
                level=logging.WARNING,
            )
            return
        self.initialise_if_unset()
        pretrained, others = split_init_cfg(self.init_cfg)
        if others:
            from mmengine.model import initialize  # such a config comes with mmengine

            initialize(self, others)
        for cfg in pretrained:
            load_pretrained(self, **load_options(cfg))
        self.is_init = True
        self._awaits_weights = False

    def fit_position_tables(
        self, tensors: Mapping[str, Tensor], prefix: str = '', grid: tuple[int, int] | None = None
    ) -> dict[str, Tensor]:
        """Return position tables of a checkpoint, resized to this backbone's ``img_size``.

        They are resized as ``forward`` resizes its own. For images of this backbone's ``img_size``,
        the outputs are those of a backbone with the file's ``img_size``.

        Args:
            tensors: A checkpoint under our names.
            prefix: What comes before them, such as ``'backbone.'``.
            grid: ``(h, w)`` of the file's table, if it says it. Otherwise the images were square,
                as those of all authors, or a table of this backbone's size has its grid.

        Returns:
            The tables that had to be resized. A table whose grid is not known is left out.
        """
        own = getattr(self, self.POSITION_TABLE, None)
        found = tensors.get(prefix + self.POSITION_TABLE)
        if own is None or found is None or found.ndim != 3 or found.shape[2:] != own.shape[2:]:
            return {}  # other channels, which the report names
        num_prefix = own.shape[1] - self.grid[0] * self.grid[1]
        grid = self._grid_of_table(found.shape[1] - num_prefix, grid)
        if grid is None or grid == self.grid:
            return {}
        with torch.no_grad():
            resized = self._resize_tables(tensors, prefix, grid)
        log(
            f'{", ".join(resized)}: position tables resized from {grid[0]}x{grid[1]} to '
            f'{self.grid[0]}x{self.grid[1]}, because the file has another img_size',
        )
        return resized

    def _grid_of_table(self, rows: int, grid: tuple[int, int] | None) -> tuple[int, int] | None:
        """Return the grid of a file's table of so many rows; ``None`` if it is not known."""
        if grid is not None and grid[0] * grid[1] == rows:
            return grid
        side = math.isqrt(max(rows, 0))
        square = (side, side) if side > 0 and side**2 == rows else None
        if rows != self.grid[0] * self.grid[1]:
            return square
        if square not in (None, self.grid):
            log(
                f'{self.POSITION_TABLE}: the file does not say whether its {rows} rows are a grid '
                f'of {side}x{side} or of {self.grid[0]}x{self.grid[1]}, which is that of img_size. '
                'The second is assumed. If the images of its training were square, load it into a '
                'backbone with their img_size, save that, and load the new file',
                level=logging.WARNING,
            )
        return self.grid

    def _resize_tables(
        self, tensors: Mapping[str, Tensor], prefix: str, grid: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Return a checkpoint's position tables of a grid, resized to that of this backbone."""
        name = prefix + self.POSITION_TABLE
        return {name: resize_position_table(tensors[name], grid, self.grid)}

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Load a state dict; position tables of another ``img_size`` are resized first."""
        grid = saved_grid(local_metadata)
        state_dict.update(self.fit_position_tables(state_dict, prefix, grid))
        self._awaits_weights = False
        if local_metadata.get('assign_to_params_buffers') or not any(
            tensor.is_meta for tensor in self.parameters()
        ):
            self._is_unset = False
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [*self._embedding(), *list(self._stages())[: self.frozen_stages]]
        if self.norm is not None and self.frozen_stages == self.plan.num_stages:
            frozen.append(self.norm)
        for part in frozen:
            part.requires_grad_(False)
            if isinstance(part, nn.Module):
                part.eval()  # no drop path in a frozen block

    def train(self, mode: bool = True) -> 'TokenBackbone':
        """Set the training mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def __prepare_scriptable__(self) -> 'TokenBackbone':
        """Say what to use instead of ``torch.jit.script``, which calls this."""
        raise InputTypeError(
            f'torch.jit.script cannot compile {type(self).__name__}, because forward depends on '
            'the size of the image. Use torch.export, or torch.jit.trace'
        )

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return the depth of a parameter, for layer-wise learning-rate decay.

        This is mmpretrain's protocol (``LearningRateDecayOptimWrapperConstructor``).

        Args:
            param_name: Full name of the parameter.
            prefix: What comes before the backbone's own names, such as ``'backbone.'``.

        Returns:
            The parameter's depth, from 0 (embedding) to ``num_layers + 1`` (pyramid, norm, heads),
            and the number of depths.
        """
        num_depths = self.num_layers + 2
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        name = param_name[len(prefix) :]
        if name.startswith(('norm.', 'pyramid.')):
            return num_depths - 1, num_depths
        return self._depth_of(name), num_depths

    def _depth_of(self, name: str) -> int:
        """Return the number of a parameter's block, from 1, or 0 for the embedding."""
        block = re.match(r'blocks\.(\d+)\.', name)
        return int(block[1]) + 1 if block else 0

    def _pad(self, image: Tensor) -> Tensor:
        """Return the image, padded right and bottom to whole patches: ``(B, C, H', W')``."""
        require_dense_tensor(image)
        if image.ndim != 4 or image.shape[1] != self.in_channels or 0 in image.shape[1:]:
            raise InputError(
                f'The image has the shape {tuple(image.shape)}, but {type(self).__name__} needs '
                f'(B, {self.in_channels}, H, W) with at least one pixel. Set in_channels for '
                'another number of channels'
            )
        if not image.is_floating_point():
            raise InputError(
                f'The image is of {image.dtype}, but {type(self).__name__} needs normalised '
                'floats. Use the data preprocessor, or image.float()'
            )
        weight = next(self.parameters(), None)  # none where FSDP holds them
        if weight is not None and image.dtype != weight.dtype and not is_cast(image):
            raise InputError(
                f'The image is of {image.dtype}, but the weights of {type(self).__name__} are of '
                f'{weight.dtype}. Use image.to({weight.dtype}), or autocast for mixed precision'
            )
        if self._awaits_weights and not torch.compiler.is_compiling():
            self._awaits_weights = False
            log(
                f'{type(self).__name__} computes with random weights: init_cfg names weights, but '
                'they were not loaded. Call init_weights(), as the Runner of mmengine does',
                level=logging.WARNING,
            )
        height, width = image.shape[-2:]
        # Not -height % divisor: torch.compile cannot trace it for a size that may vary.
        pad_bottom, pad_right = (
            count_tiles(side, self.pad_divisor) * self.pad_divisor - side
            for side in (height, width)
        )
        # A graph of many sizes has no condition here, and its sizes are whole multiples: those of a
        # convolution are then short terms, which the compiler compares sooner.
        if traces_any_size(height, width) or pad_bottom + pad_right:
            image = F.pad(image, (0, pad_right, 0, pad_bottom))
        return image

    def _run(self, block: nn.Module, *tokens: Any) -> Any:
        """Return a block's output; with ``with_cp`` the backward pass computes the block again."""
        if self.with_cp and torch.is_grad_enabled():
            # A compiled graph has one path anyway, and the compiler knows no such contexts.
            options: dict[str, Any] = (
                {} if torch.compiler.is_compiling() else {'context_fn': keep_paths}
            )
            return checkpoint(block, *tokens, use_reentrant=False, **options)
        return block(*tokens)

    def _format_outputs(
        self, tapped: Mapping[int, Tap], image_size: tuple[int, int], dtype: torch.dtype
    ) -> tuple[Tensor, ...]:
        """Return the outputs, made from the tokens after the tapped stages.

        Args:
            tapped: Output of each tapped stage.
            image_size: ``(H, W)`` of the image before it was padded, in pixels.
            dtype: That of the image, and of the outputs.
        """
        used = self.plan.used_taps
        if self.pyramid is not None:
            maps = [tapped[tap].to_map() for tap in used]
            levels = self.pyramid(maps, [tapped[tap].words for tap in used], image_size)
            return tuple(level.to(dtype) for level in levels)
        outputs = []
        for tap in used:
            tokens, grid, _ = tapped[tap]
            if self.norm is not None and tap == self.plan.num_stages - 1:
                tokens = self.norm(tokens)
            outputs.append(self._format_tokens(tokens, grid).to(dtype))
        return tuple(outputs)

    def _format_tokens(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        placed = tokens[:, -grid[0] * grid[1] :]
        if self.out_type == 'cls_token':
            return tokens[:, 0]
        if self.out_type == 'avg_featmap':
            return placed.mean(dim=1)
        if self.out_type == 'featmap':
            return to_map(placed, grid).contiguous()
        return tokens


def _note_grid(
    backbone: TokenBackbone, state_dict: Any, prefix: str, local_metadata: dict[str, Any]
) -> None:
    """Write the position table's grid beside the state dict: 4x16 and 8x8 tokens are 64 rows."""
    local_metadata['grid'] = list(backbone.grid)
