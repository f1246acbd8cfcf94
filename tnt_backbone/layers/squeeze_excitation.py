"""The squeeze-and-excitation gate of TNT's SE variant (paper Sec. 2.3, "SE").

Source: class ``SE`` of
https://github.com/huawei-noah/Efficient-AI-Backbones/blob/f90e129/tnt_pytorch/tnt.py.
The paper gates words and sentences. The authors' code gates only sentences, and so does this file.
"""

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Scale channels by a gate computed from the mean token: ``(B, N, C) -> (B, N, C)``.

    The gate lies in (-1, 1) (a tanh, not a sigmoid), and the mean includes the class token.

    Args:
        dims: Channels ``C``.
        ratio: Width of the hidden layer relative to ``dims``.
    """

    def __init__(self, dims: int, ratio: float = 0.25) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dims)
        self.fc1 = nn.Linear(dims, int(dims * ratio))
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(int(dims * ratio), dims)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens with gated channels."""
        mean_token = tokens.mean(dim=1, keepdim=True)  # (B, 1, C)
        gate = self.fc2(self.act(self.fc1(self.norm(mean_token)))).tanh()
        return tokens * gate
