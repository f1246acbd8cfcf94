"""TNT's step from words to sentences: the words of a patch are projected and added to its sentence.

Source: paper Eq. 8 (https://arxiv.org/abs/2103.00112), which is one linear layer there. The two
published codes add norms, and differ in them:

=========  ==========================  ===========================
place      official                    legacy
=========  ==========================  ===========================
embedding  norm(M*c), Linear, norm(d)  norm(M*c), Linear, norm(d)
block      norm(M*c), Linear without   norm(c) of each word,
           bias, norm(d)               Linear
=========  ==========================  ===========================
"""

from torch import Tensor, nn


class WordToSentence(nn.Module):
    """A projection of the words of each sentence: ``(B*N, M, c) -> (B*N, d)``.

    Args:
        num_words: Words ``M`` in a sentence.
        word_dims: Channels ``c`` of a word.
        sentence_dims: Channels ``d`` of a sentence.
        norm_each_word: Normalise each word over ``c`` instead of all words over ``M * c``.
        bias: Whether the projection has a bias.
        post_norm: Normalise the projected sentence.
    """

    def __init__(
        self,
        num_words: int,
        word_dims: int,
        sentence_dims: int,
        *,
        norm_each_word: bool = False,
        bias: bool = True,
        post_norm: bool = True,
    ) -> None:
        super().__init__()
        self.norm_each_word = norm_each_word
        self.norm1 = nn.LayerNorm(word_dims if norm_each_word else num_words * word_dims)
        self.proj = nn.Linear(num_words * word_dims, sentence_dims, bias=bias)
        self.norm2 = nn.LayerNorm(sentence_dims) if post_norm else nn.Identity()

    def forward(self, words: Tensor) -> Tensor:
        """Return one vector per sentence."""
        each = self.norm_each_word
        normed = (
            self.norm1(words).flatten(1) if each else self.norm1(words.flatten(1))
        )  # (B*N, M*c)
        return self.norm2(self.proj(normed))
