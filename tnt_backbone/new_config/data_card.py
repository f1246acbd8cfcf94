"""Hugging Face's data cards: names that the head of ``README.md`` gives to numbers of classes."""

from pathlib import Path
from typing import Any

import yaml

from .data_folder import read_text


def titles_in_card(readme: Path) -> dict[str, str]:
    """Return the names that the head of a data card gives to numbers, which are texts here."""
    parts = read_text(readme).split('---') if readme.is_file() else []
    try:
        names = _names_in(yaml.safe_load(parts[1])) if len(parts) > 2 else None
    except yaml.YAMLError:
        return {}
    pairs = names.items() if isinstance(names, dict) else enumerate(names or ())
    return {str(number): str(name) for number, name in pairs}


def _names_in(card: Any) -> Any:
    """Return the first names of classes in a part of a data card, if there are any."""
    if not isinstance(card, dict | list):
        return None
    if isinstance(card, dict) and isinstance(label := card.get('class_label'), dict):
        return label.get('names')
    parts = card.values() if isinstance(card, dict) else card
    return next((names for part in parts if (names := _names_in(part))), None)
