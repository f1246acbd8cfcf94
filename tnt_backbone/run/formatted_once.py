"""A config whose text is formatted once."""

from mmengine.config import Config

_TEXTS: dict[str, str] = {}  # of what was formatted last


class FormattedOnce(Config):
    """A config that equals another one.

    mmengine formats the whole config with yapf for the log, for its copy in the work folder and
    again for each checkpoint: seven times in a run of one epoch, each 0.1 to 0.5 s.

    Args:
        cfg: The other config.
    """

    def __init__(self, cfg: Config) -> None:
        self.__setstate__(cfg.__getstate__())

    @property
    def pretty_text(self) -> str:
        """The config as Python code."""
        content = repr(self.to_dict())
        if content not in _TEXTS:
            _TEXTS.clear()
            _TEXTS[content] = super().pretty_text
        return _TEXTS[content]
