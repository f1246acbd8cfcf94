"""The two-layer perceptron of a transformer block (paper Eq. 4)."""

from torch import Tensor, nn


class Mlp(nn.Module):
    """Two linear layers with a GELU between them: ``(..., C) -> (..., C)``.

    Args:
        dims: Channels ``C``.
        hidden_dims: Channels between the two layers.
        drop_rate: Dropout after each layer, in [0, 1).
    """

    def __init__(self, dims: int, hidden_dims: int, *, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden_dims)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dims, dims)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens, each transformed on its own."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(tokens)))))
