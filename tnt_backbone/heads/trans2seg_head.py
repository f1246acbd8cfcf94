"""Trans2Seg (https://arxiv.org/abs/2101.08461): a learned query for each class, its maps as masks.

The structure is read off the authors' code, https://github.com/xieenze/Trans2Seg: the files
``segmentron/models/trans2seg.py`` at commit 0754937 (head), ``segmentron/modules/transformer.py``
at a159184 (encoder, decoder) and ``segmentron/config/settings.py`` at 18e172a (256 channels, 4
layers, 8 heads, MLP ratio 3, 64 channels in the convolutions). This is an implementation of its
own.

TNT's paper (Table 11) uses the head on ADE20K, as PVT's does; no code of theirs for it was found.
Differences from the code above:

- Any input size. The MLP over the cells of a map belongs to one grid: other maps are resized to it,
  and its update is resized back. The authors' code takes one square size.
- What does not reach the output is not built: there every layer has an MLP over its maps, of which
  only the last layer's are read, and the last layer updates queries and tokens that nobody reads.
  Such parameters would have no gradient.
- Queries, tokens and maps have plain residuals. There ``x = x + x`` stands where the residual would
  be, and the queries get their class embedding anew in each layer in its place.
- The maps of a class are those of its own query. There a reshape without a transposition mixes
  heads and classes.
- No class token in the encoder: its output is not read.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.registry import MODELS as ROOT_MODELS
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InputError
from ..layers import Mlp, TransformerBlock, resize_position_table
from ..layers.attention import check_heads
from ..registry import MODELS


class ClassAttention(nn.Module):
    """How much each class looks at each token: ``(B, K, C), (B, N, C) -> (B, K, heads, N)``.

    Products of queries and keys, scaled by the root of a head's channels; the softmax over ``N`` of
    them are the attention weights.

    Args:
        dims: Channels ``C``.
        num_heads: Heads; must divide ``dims``.

    Raises:
        ValueError: If ``num_heads`` does not divide ``dims``.
    """

    def __init__(self, dims: int, num_heads: int) -> None:
        super().__init__()
        check_heads(dims, num_heads)
        self.num_heads = num_heads
        self.query = nn.Linear(dims, dims, bias=False)
        self.key = nn.Linear(dims, dims, bias=False)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return the products; see the class."""
        q = self.split_heads(self.query(queries))  # (B, heads, K, C/heads)
        k = self.split_heads(self.key(tokens))  # (B, heads, N, C/heads)
        products = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
        return products.transpose(1, 2)

    def split_heads(self, tokens: Tensor) -> Tensor:
        """``(B, N, C) -> (B, heads, N, C/heads)``."""
        return tokens.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Class queries read the tokens: ``(B, K, C), (B, N, C) -> the maps and the same shapes``.

    Args:
        dims: Channels ``C``.
        num_heads: Heads.
        mlp_ratio: Hidden channels of the MLPs relative to ``dims``.
        is_last: Only the maps are wanted; queries and tokens come back as they are.
    """

    def __init__(self, dims: int, num_heads: int, mlp_ratio: float, *, is_last: bool) -> None:
        super().__init__()
        self.is_last = is_last
        self.query_norm = nn.LayerNorm(dims)
        self.token_norm = nn.LayerNorm(dims)
        self.attn = ClassAttention(dims, num_heads)
        if not is_last:
            self.value = nn.Linear(dims, dims, bias=False)
            self.proj = nn.Linear(dims, dims)
            self.query_mlp = nn.Sequential(nn.LayerNorm(dims), Mlp(dims, int(dims * mlp_ratio)))
            self.token_mlp = nn.Sequential(nn.LayerNorm(dims), Mlp(dims, int(dims * mlp_ratio)))

    def forward(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``(B, K, heads, N)`` maps, queries and tokens."""
        normed = self.token_norm(tokens)
        maps = self.attn(self.query_norm(queries), normed)
        if self.is_last:
            return maps, queries, tokens
        weights = maps.softmax(dim=-1).transpose(1, 2)  # (B, heads, K, N)
        read = weights @ self.attn.split_heads(self.value(normed))  # (B, heads, K, C/heads)
        queries = queries + self.proj(read.transpose(1, 2).flatten(2))
        queries = queries + self.query_mlp(queries)
        return maps, queries, tokens + self.token_mlp(tokens)


class MapMlp(nn.Module):
    """An MLP over the cells of a map, with a residual: ``(B, K, heads, h, w) -> the same shape``.

    Args:
        grid_size: ``(h, w)`` that its weights are for; maps of other sizes are resized to it, and
            the update is resized back.
        mlp_ratio: Hidden width relative to the number of cells.
    """

    def __init__(self, grid_size: tuple[int, int], mlp_ratio: float) -> None:
        super().__init__()
        self.grid_size = grid_size
        cells = grid_size[0] * grid_size[1]
        self.norm = nn.LayerNorm(cells)
        self.mlp = Mlp(cells, int(cells * mlp_ratio))

    def forward(self, maps: Tensor) -> Tensor:
        """Return new maps; the given ones are not written to."""
        size = (maps.shape[-2], maps.shape[-1])
        flat = maps.flatten(0, 1)
        cells = _resize(flat, self.grid_size).flatten(2)
        update = self.mlp(self.norm(cells)).unflatten(2, self.grid_size)
        return maps + _resize(update, size).unflatten(0, maps.shape[:2])


def _resize(maps: Tensor, size: tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """``(B, C, h, w) -> (B, C, *size)``, bilinear."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode='bilinear', align_corners=align_corners)


@MODELS.register_module()
@ROOT_MODELS.register_module()
class Trans2SegHead(BaseDecodeHead):
    """Trans2Seg's head: ``(B, C_fine, H, W), (B, C_coarse, h, w) -> (B, num_classes, H, W)``.

    A transformer encoder works on the coarse map; in the decoder a learned query for each class
    reads it, and the products of query and keys in the last layer are ``num_heads`` maps of that
    class. Convolutions, shared by the classes, turn these maps, the encoder's output and the fine
    map into one logit a pixel.

    The convolutions run once for each class: with 150 classes and a fine map of stride 4, the last
    of them takes 11.5 G multiply-adds at 512x512, and each of its activations 630 MB an image in
    fp32. TNT's Table 11 counts fewer, see ``configs/_base_/models/trans2seg.py``. With TNT-S the
    head has 6.57 M parameters, as built there.

    Args:
        in_channels: Channels of the fine and the coarse map.
        in_index: Their places among the backbone's maps.
        channels: Channels of the convolutions.
        num_classes: Classes.
        embed_dims: Channels of the transformer.
        num_layers: Layers of the encoder, and of the decoder.
        num_heads: Attention heads, which is also the maps of a class; must divide ``embed_dims``.
        mlp_ratio: Hidden width of all MLPs.
        grid_size: ``(h, w)`` of the coarse map at the training size: that of the position table and
            of the MLP over maps. Other sizes work, by resizing.
        dropout_ratio: Dropout of channels before the last convolution, in [0, 1).
        init_cfg: mmengine's.
        kwargs: The others of MMSegmentation's ``BaseDecodeHead``: ``norm_cfg``, ``loss_decode``,
            ``ignore_index``, ``align_corners``, ...

    Raises:
        ValueError: If ``in_channels``, ``in_index`` or ``grid_size`` is no pair, ``num_layers`` is
            less than 1 or ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        in_index: Sequence[int],
        channels: int = 64,
        num_classes: int,
        embed_dims: int = 256,
        num_layers: int = 4,
        num_heads: int = 8,
        mlp_ratio: float = 3.0,
        grid_size: Sequence[int] = (16, 16),
        dropout_ratio: float = 0.0,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        pairs = {'in_channels': in_channels, 'in_index': in_index, 'grid_size': grid_size}
        for name, pair in pairs.items():
            if not isinstance(pair, Sequence) or len(pair) != 2:
                raise InputError(f'{name}={pair!r} must be a pair of integers, see Trans2SegHead')
        if num_layers < 1:
            raise InputError(f'num_layers={num_layers} must be at least 1')
        super().__init__(
            list(in_channels),
            channels,
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            in_index=list(in_index),
            input_transform='multiple_select',
            init_cfg=init_cfg,
            **kwargs,
        )
        del self.conv_seg  # of one output a class; here each class has the same one output
        self.grid_size = (grid_size[0], grid_size[1])

        self.embed = nn.Linear(in_channels[1], embed_dims)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid_size[0] * grid_size[1], embed_dims))
        self.encoder = nn.ModuleList(
            TransformerBlock(embed_dims, num_heads, mlp_ratio=mlp_ratio) for _ in range(num_layers)
        )
        self.encoder_norm = nn.LayerNorm(embed_dims)
        self.class_embed = nn.Parameter(torch.zeros(1, self.out_channels, embed_dims))
        self.decoder = nn.ModuleList(
            DecoderLayer(embed_dims, num_heads, mlp_ratio, is_last=i == num_layers - 1)
            for i in range(num_layers)
        )
        self.map_mlp = MapMlp(self.grid_size, mlp_ratio)

        cfg = {'norm_cfg': self.norm_cfg, 'act_cfg': self.act_cfg}
        self.fine_conv = ConvModule(in_channels[0], channels, 1, **cfg)
        self.fuse = nn.Sequential(
            DepthwiseSeparableConvModule(embed_dims + num_heads, channels, 3, padding=1, **cfg),
            DepthwiseSeparableConvModule(channels, channels, 3, padding=1, **cfg),
        )
        self.refine = DepthwiseSeparableConvModule(channels, channels, 3, padding=1, **cfg)
        self.logit = nn.Conv2d(channels, 1, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as the authors do: truncated normals of 0.02 for linear layers and tables."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for table in (self.pos_embed, self.class_embed):
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return ``(B, num_classes, H, W)`` logits at the size of the fine map.

        Args:
            inputs: The backbone's maps.
        """
        fine, coarse = self._transform_inputs(inputs)
        features, maps = self.encode_decode(coarse)
        batch, num_classes = maps.shape[:2]
        features = features.unsqueeze(1).expand(-1, num_classes, -1, -1, -1)

        # From here on each class is an image of its own: (B*K, ...).
        x = self.fuse(torch.cat((features, maps), dim=2).flatten(0, 1))  # (B*K, channels, h, w)
        size = (fine.shape[-2], fine.shape[-1])
        x = _resize(x, size, align_corners=self.align_corners).unflatten(0, (batch, num_classes))
        x = self.refine((x + self.fine_conv(fine).unsqueeze(1)).flatten(0, 1))
        if self.dropout is not None:
            x = self.dropout(x)
        return self.logit(x).reshape(batch, num_classes, *size)

    def encode_decode(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Run the transformer.

        Args:
            coarse: ``(B, C_coarse, h, w)``.

        Returns:
            ``(B, embed_dims, h, w)`` output of the encoder, and ``(B, num_classes, num_heads, h,
            w)`` maps of the classes.
        """
        grid = (coarse.shape[-2], coarse.shape[-1])
        tokens = self.embed(coarse.flatten(2).transpose(1, 2))  # (B, N, C)
        tokens = tokens + resize_position_table(self.pos_embed, self.grid_size, grid)
        for block in self.encoder:
            tokens = block(tokens)
        tokens = self.encoder_norm(tokens)
        features = tokens.transpose(1, 2).unflatten(2, grid)

        queries = self.class_embed.expand(coarse.shape[0], -1, -1)  # (B, K, C)
        for layer in self.decoder:
            maps, queries, tokens = layer(queries, tokens)
        return features, self.map_mlp(maps.unflatten(3, grid))
