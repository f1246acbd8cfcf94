"""Square tiles of an image or map, and the map that tiles of words form."""

from torch import Tensor


def count_tiles(length: int, side: int) -> int:
    """Return the number of tiles that cover a length: ``ceil(length / side)``.

    It is not ``-(-length // side)``, because ONNX divides traced sizes towards zero.
    """
    return (length + side - 1) // side


def cut_into_tiles(image: Tensor, side: int) -> Tensor:
    """Return square tiles, row by row: ``(B, C, H, W) -> (B*N, C, side, side)``.

    ``side`` divides H and W; ``N = H/side * W/side``.
    """
    batch, channels, height, width = image.shape
    rows, columns = height // side, width // side
    tiles = image.reshape(batch, channels, rows, side, columns, side)
    tiles = tiles.permute(0, 2, 4, 1, 3, 5)  # (B, rows, columns, C, side, side)
    return tiles.reshape(batch * rows * columns, channels, side, side)


def to_word_map(words: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Return the map of all words: ``(B*N, M, c) -> (B, c, h*side, w*side)``.

    Args:
        words: ``M = side * side`` words of each sentence, row by row.
        grid: ``(h, w)`` sentences in each direction; ``N = h * w``.
        side: Words per side of a sentence.
    """
    rows, columns = grid
    dims = words.shape[-1]
    tiles = words.reshape(-1, rows, columns, side, side, dims)  # (B, h, w, k, k, c)
    return tiles.permute(0, 5, 1, 3, 2, 4).reshape(-1, dims, rows * side, columns * side)
