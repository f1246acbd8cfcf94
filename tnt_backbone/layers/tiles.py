"""Square tiles of an image or map, and the map of words that tiles of words make."""

from torch import Tensor


def count_tiles(length: int, side: int) -> int:
    """Tiles that it takes to cover a length: ``ceil(length / side)``.

    Not ``-(-length // side)``: where sizes are traced, ONNX divides towards zero.
    """
    return (length + side - 1) // side


def cut_into_tiles(image: Tensor, side: int) -> Tensor:
    """Cut into square tiles, row by row: ``(B, C, H, W) -> (B*N, C, side, side)``.

    ``side`` divides H and W; ``N = H/side * W/side``.
    """
    batch, channels, height, width = image.shape
    rows, columns = height // side, width // side
    tiles = image.reshape(batch, channels, rows, side, columns, side)
    tiles = tiles.permute(0, 2, 4, 1, 3, 5)  # (B, rows, columns, C, side, side)
    return tiles.reshape(batch * rows * columns, channels, side, side)


def to_word_map(words: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Lay the words of all sentences side by side: ``(B*N, M, c) -> (B, c, h*side, w*side)``.

    Args:
        words: ``M = side * side`` words of each sentence, row by row.
        grid: ``(h, w)`` sentences in each direction; ``N = h * w``.
        side: Words a side of a sentence.
    """
    rows, columns = grid
    dims = words.shape[-1]
    tiles = words.reshape(-1, rows, columns, side, side, dims)  # (B, h, w, k, k, c)
    return tiles.permute(0, 5, 1, 3, 2, 4).reshape(-1, dims, rows * side, columns * side)
