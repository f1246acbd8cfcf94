"""Line charts as SVG, in the colours of the page that they stand in."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 38  # around the axes
COLOURS = 8  # of the style sheet
MOST = 600  # points per line; more are thinned out
GREATEST = 1e30  # larger values are as good as infinite


def line_chart(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    logarithmic: bool = False,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """Return a chart with a legend; points that are not finite are left out.

    Args:
        lines: Name to points. Names may hold any characters.
        x: Label of the axis.
        y: Likewise.
        logarithmic: Whether the y axis is; values of 0 or less are left out.
        limits: Of the y axis; by default those of the values.
    """
    shown = {
        name: [
            (a, b)
            for a, b in points
            if abs(a) < GREATEST and abs(b) < GREATEST and (b > 0 or not logarithmic)
        ]
        for name, points in lines.items()
    }
    values = [point for points in shown.values() for point in points]
    if not values:
        return Markup('<p class="note">no finite values</p>')
    x_low, x_high = _span([a for a, _ in values], None)
    y_low, y_high = _span([math.log10(b) if logarithmic else b for _, b in values], limits)

    def place(a: float, b: float) -> str:
        b = math.log10(b) if logarithmic else b
        across = LEFT + (a - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        up = HEIGHT - BOTTOM - (b - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return f'{across:.1f},{up:.1f}'

    parts = []
    for value in ticks(x_low, x_high):
        across = place(value, 10**y_low if logarithmic else y_low).split(',')[0]
        parts.append(
            Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
                across, TOP, HEIGHT - BOTTOM
            )
            + Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                across, HEIGHT - BOTTOM + 14, f'{value:g}'
            )
        )
    for value in ticks(y_low, y_high):
        up = place(x_low, 10**value if logarithmic else value).split(',')[1]
        parts.append(
            Markup('<line class="grid" x1="{1}" x2="{2}" y1="{0}" y2="{0}"/>').format(
                up, LEFT, WIDTH - RIGHT
            )
            + Markup('<text x="{}" y="{}" dy="4" text-anchor="end">{}</text>').format(
                LEFT - 6, up, f'{10**value:.2g}' if logarithmic else f'{value:.4g}'
            )
        )
    for number, (name, points) in enumerate(shown.items()):
        step = -(-len(points) // MOST) or 1
        kept = points[::step] + points[-1:]
        shape = 'polyline' if len(points) > 1 else ''
        places = ' '.join(place(*point) for point in kept)
        if shape:
            parts.append(
                Markup(
                    '<polyline class="line c{}" points="{}"><title>{}</title></polyline>'
                ).format(number % COLOURS, places, name)
            )
        if len(points) <= 30:
            for point in points:
                across, up = place(*point).split(',')
                parts.append(
                    Markup(
                        '<circle class="dot c{}" cx="{}" cy="{}" r="2.5"><title>{}</title></circle>'
                    ).format(
                        number % COLOURS, across, up, f'{name}: {point[1]:.4g} at {point[0]:g}'
                    )
                )
    middle = (HEIGHT - BOTTOM + TOP) / 2
    return Markup(
        '<figure class="chart"><svg viewBox="0 0 {w} {h}" role="img" aria-label="{y} over {x}">'
        '{parts}<text x="{cx}" y="{bottom}" text-anchor="middle">{x}</text>'
        '<text transform="translate(11 {cy}) rotate(-90)" text-anchor="middle">{y}</text></svg>'
        '<figcaption>{legend}</figcaption></figure>'
    ).format(
        w=WIDTH,
        h=HEIGHT,
        parts=Markup('').join(parts),
        cx=(WIDTH + LEFT - RIGHT) / 2,
        cy=middle,
        bottom=HEIGHT - 6,
        x=x,
        y=y,
        legend=Markup(' ').join(
            Markup('<span class="key c{}">{}</span>').format(number % COLOURS, escape(name))
            for number, name in enumerate(shown)
        ),
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers from ``low`` to ``high``, at most ``most`` steps apart."""
    raw = (high - low) / most
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _span(values: list[float], limits: tuple[float, float] | None) -> tuple[float, float]:
    low, high = limits or (min(values), max(values))
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-30):
        margin = max(abs(low) * 0.1, 1e-12)
        return low - margin, high + margin
    return low, high
