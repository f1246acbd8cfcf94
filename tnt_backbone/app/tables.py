"""The texts of the page. Names come from files and checkpoints; the templates escape them."""

from functools import cache
from typing import Any

SUMMARY = """
<h1>{{ name }}</h1>
<p>{{ task }}, {{ classes|length }} classes: {{ classes[:12]|join(', ') }}
{%- if classes|length > 12 %}, ...{% endif %}</p>
"""
TABLE = """
{% if rows %}<div class="wide"><table>
<tr><th>class</th>{% if 'score' in rows[0] %}<th>score</th>{% endif %}
{% if 'share' in rows[0] %}<th>share of the picture</th>{% endif %}
{% if 'box' in rows[0] %}<th>x1</th><th>y1</th><th>x2</th><th>y2</th>{% endif %}
{% if 'pixels' in rows[0] %}<th>pixels of the mask</th>{% endif %}</tr>
{% for row in rows %}<tr><td class="name">
{%- if 'colour' in row %}
<span class="swatch" style="background:rgb{{ row.colour }}"></span>
{%- endif %}{{ row.name }}</td>
{%- if 'score' in row %}<td>{{ '%.3f'|format(row.score) }}</td>{% endif %}
{%- if 'share' in row %}<td>{{ '%.1f %%'|format(100 * row.share) }}</td>{% endif %}
{%- for value in row.get('box', ()) %}<td>{{ '%.1f'|format(value) }}</td>{% endfor %}
{%- if 'pixels' in row %}<td>{{ row.pixels }}</td>{% endif %}</tr>
{% endfor %}</table></div>{% endif %}
"""
NOTE = """{% for text in texts %}<p>{{ text }}</p>{% endfor %}"""
ERROR = """<p class="error" role="alert">{{ text }}</p>"""


def summary(name: str, task: str, classes: tuple[str, ...]) -> str:
    """Return the head of the page."""
    return _render(SUMMARY, name=name, task=task, classes=classes)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows of an :class:`Answer`."""
    return _render(TABLE, rows=rows)


def note(*texts: str) -> str:
    """Return what is said about a picture."""
    return _render(NOTE, texts=texts)


def error(text: str) -> str:
    """Return a message."""
    return _render(ERROR, text=text)


def _render(template: str, **values: Any) -> str:
    return _template(template).render(**values)


@cache
def _template(text: str) -> Any:
    import jinja2

    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
