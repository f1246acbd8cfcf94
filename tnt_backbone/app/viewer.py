"""A model and the few pictures that were shown to it last."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..errors import InputError
from ..exported.session import LateError
from ..predict.pictures import Picture, UnreadablePictureError
from .answers import LEAST_SCORE, Answer, answer_of, screen_scale
from .uploads import Limits, check_upload

KEPT = 2  # pictures whose answers stay in memory
HEATS = 6  # objects or classes with a heat map
WORDS = 450  # pixels: width of the picture of the words


@dataclass(frozen=True)
class Attention:
    """What is read at a point.

    Attributes:
        pixels: ``(H, W, 3)``, RGB, uint8: the picture with what the sentence or class token reads.
        words: Likewise: what the word reads; ``None`` if the block has no words.
        texts: What the pictures show.
        point: ``(x, y)`` in pixels of what the network sees.
    """

    pixels: np.ndarray
    words: np.ndarray | None
    texts: list[str]
    point: tuple[int, int]


class Viewer:
    """Answers about pictures.

    The answers of the last pictures are kept, so that a slider does not start the model. Nothing
    else is: an answer that was dropped is computed again from the file.

    Args:
        model: A :class:`TrainedModel`, or an :class:`ExportedModel`, which only predicts.
        limits: Of a picture.

    Attributes:
        blocks: Names of the blocks whose attention can be shown.
        can_explain: Whether there are heat maps.
    """

    def __init__(self, model: Any, limits: Limits) -> None:
        self.model = model
        self.limits = limits
        self.blocks: list[str] = []
        self.can_explain = hasattr(model, 'model')  # an exported file has no gradients
        if self.can_explain:
            from ..backbones.base import TokenBackbone
            from ..look.blocks import places_of
            from ..look.explain import backbone_of

            try:
                self.backbone = backbone_of(model)
            except InputError:  # it still predicts
                self.can_explain = False
            else:
                if isinstance(self.backbone, TokenBackbone):
                    self.blocks = [place.name for place in places_of(self.backbone)]
            self._end_late_answers()
        self._end = math.inf
        # keyed by the path: the name of an upload's folder is made of its content
        self._answer = lru_cache(KEPT)(self._predict)
        self._input = lru_cache(KEPT)(self._prepare)
        self._heats = lru_cache(KEPT)(self._explain)
        self._maps = lru_cache(2 * KEPT)(self._attend)

    def _end_late_answers(self) -> None:
        """Let parts of the network, which cannot be stopped within, look at the clock."""
        from ..look.blocks import places_of

        def look_at_the_clock(module: Any, args: Any) -> None:
            if time.monotonic() > self._end:
                raise self._late()

        parts = list(self.model.model.children())
        if self.blocks:
            parts += [place.module for place in places_of(cast(Any, self.backbone))]
        for part in parts:
            part.register_forward_pre_hook(look_at_the_clock)

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """Let the answers within take no longer than the limit."""
        self._set_end(time.monotonic() + self.limits.seconds)
        try:
            yield
        except LateError as error:  # of an exported file
            raise self._late() from error
        finally:
            self._set_end(math.inf)

    def _set_end(self, end: float) -> None:
        self._end = end
        for network in getattr(self.model, 'networks', {}).values():
            network.end = end

    def _late(self) -> InputError:
        return InputError(
            f'the answer took longer than {self.limits.seconds:g} seconds. Make the picture '
            'smaller, or start the app with --max-seconds'
        )

    def answer(self, path: str, score: float) -> Answer:
        """Return the prediction for a picture.

        Args:
            path: The file.
            score: Objects of a lower score are left out.

        Raises:
            ValueError: If the picture is too large, or damaged.
        """
        return self._answer(path).at_least(score)

    def _predict(self, path: str) -> Answer:
        check_upload(path, self.limits)
        (result,) = self.model.stream([_picture(path)], score=LEAST_SCORE)
        if isinstance(result, UnreadablePictureError):
            raise result
        return answer_of(result)

    def _prepare(self, path: str) -> Any:
        from ..look.network_input import network_input

        check_upload(path, self.limits)
        return network_input(self.model, _picture(path))

    def evidence(
        self, path: str, score: float, subject: int, opacity: float
    ) -> tuple[np.ndarray, list[str]]:
        """Return the picture under a heat map, and what all heat maps are about.

        Args:
            path: The file.
            score: Objects of a lower score are left out.
            subject: Which heat map.
            opacity: Of the heat map, 0 to 1.

        Raises:
            ValueError: See :meth:`answer`; or if there is nothing to explain.
        """
        from ..look.figures import Panel, draw_panel, overlay

        seen, heats = self._input(path), self._heats(path, score)
        if not heats:
            raise InputError(f'no object has a score of at least {score:g}. Choose a lower score')
        chosen = heats[subject if subject < len(heats) else 0]
        image = overlay(seen.pixels, chosen.heat, _opacity(opacity))
        panel = Panel(chosen.title, image, chosen.boxes)
        return np.asarray(draw_panel(panel, _width(seen))), [heat.title for heat in heats]

    def _explain(self, path: str, score: float) -> list[Any]:
        from ..look.explain import explain

        return explain(self.model, self._input(path), score=score, limit=HEATS)

    def attention(
        self,
        path: str,
        block: int,
        click: tuple[float, float] | None,
        opacity: float,
        *,
        of_class_token: bool,
    ) -> Attention:
        """Return what a block reads at a point of a picture.

        Args:
            path: The file.
            block: Index into :attr:`blocks`.
            click: x and y in pixels of the picture that is returned; by default the middle.
            opacity: Of the attention, 0 to 1.
            of_class_token: Of the class token, and not of the sentence at the point.

        Raises:
            ValueError: See :meth:`answer`; or if the block has no such attention.
        """
        from ..look.figures import draw_panel
        from ..look.sheets import class_token_panel, sentence_panel, word_panel

        seen, maps = self._input(path), self._maps(path, block)
        height, width = seen.pixels.shape[:2]
        point = (seen.content[1] // 2, seen.content[0] // 2)
        if click is not None:
            x, y = (int(value * width / _width(seen)) for value in click)
            point = (min(max(x, 0), width - 1), min(max(y, 0), height - 1))
        if of_class_token:
            panel = class_token_panel(seen, maps, _opacity(opacity))
        else:
            panel = sentence_panel(seen, maps, point, _opacity(opacity))
        if panel is None:
            kinds = ('class token', 'sentence')
            kind, other = kinds if of_class_token else kinds[::-1]
            raise InputError(f'in {self.blocks[block]} no {kind} reads. Choose the {other}')
        words = word_panel(seen, maps, point)
        return Attention(
            np.asarray(draw_panel(panel, _width(seen))),
            None if words is None else np.asarray(draw_panel(words, WORDS)),
            [entry.title.replace('\n', ' ') for entry in (panel, words) if entry is not None],
            point,
        )

    def _attend(self, path: str, block: int) -> Any:
        from ..backbones.base import TokenBackbone
        from ..look.blocks import record_blocks
        from ..look.maps import attention_maps

        (recorded,), _ = record_blocks(
            cast(TokenBackbone, self.backbone), self._input(path).tensor, [block]
        )
        return attention_maps(recorded)


def _picture(path: str) -> Picture:
    return Picture(Path(path).name, path)


def _width(seen: Any) -> int:
    """Return the width in which a picture is drawn."""
    height, width = seen.pixels.shape[:2]
    return max(1, round(width * screen_scale((height, width))))


def _opacity(opacity: float) -> tuple[float, float]:
    """Return the opacity of the values 0 and 1; 0.5 is what ``tnt look`` draws."""
    return 0.6 * opacity, min(1.0, 1.6 * opacity)
