"""The tables of ``docs/evidence.md``: rows of finished runs in, Markdown out."""

import statistics
from collections.abc import Callable, Sequence

from overfit_recipes import RECIPES, TAKEN_AWAY, key_of
from pretraining import METRICS, SEEDS
from small_objects import DECISIVE, DESIGNS, NETWORKS, RANGES, RATES, STEPS

Row = dict[str, str]

NAMES = dict(
    tnt_words='TNT, levels read words',
    tnt='TNT',
    vit='ViT: no inner transformers',
    swin='Swin',
    resnet='ResNet-18',
    words_zero='the convolution that reads words starts at zero',
    words_told='each word is told its sentence first',
    words_first='words of the first block',
)
NOT_RUN = 'not run yet'
LEARNED = 0.9


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in (head, ['-'] * len(head), *lines))


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the mean and, of several values, the smallest and the largest."""
    if not values:
        return NOT_RUN
    mean = f'{statistics.mean(values):.{digits}f}'
    if len(values) == 1:
        return mean
    return f'{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})'


def cost(rows: list[Row]) -> str:
    """Return the widths that were chosen, and what a step costs."""
    chosen = {row['model']: row for row in rows if row['chosen'] == '1'}
    lines = []
    for network in NETWORKS:
        row = chosen.get(network)
        cells = [NOT_RUN, '', '', '']
        if row:
            cells = [row['width'], row['step_s'], row['of_reference'], row['params_m']]
        lines.append([NAMES[network], *cells])
    head = ['network', 'width', 'seconds a step', 'of the first', 'M parameters']
    return table(head, lines)


def at_better_rate(rows: list[Row], task: str, network: str) -> list[Row]:
    """Return the rows of a network at the better learning rate of the first seed, by seed."""
    mine = [
        row
        for row in rows
        if (row['task'], row['network'], row['steps']) == (task, network, str(STEPS[task]))
    ]
    first = [row for row in mine if row['seed'] == '0']
    if not first:
        return []
    rate = max(first, key=lambda row: float(row[DECISIVE[task]]))['rate']
    return sorted((row for row in mine if row['rate'] == rate), key=lambda row: row['seed'])


def compare(rows: list[Row], task: str, columns: dict[str, Callable[[Row], float]]) -> str:
    """Return a line a network and one of the differences that words make, seed by seed."""
    lines = []
    found = {network: at_better_rate(rows, task, network) for network in NETWORKS}
    for network, mine in found.items():
        values = [spread([value(row) for row in mine]) for value in columns.values()]
        lines.append([NAMES[network], mine[0]['rate'] if mine else '', str(len(mine)), *values])
    without = {row['seed']: row for row in found['tnt']}
    pairs = [(row, without[row['seed']]) for row in found['tnt_words'] if row['seed'] in without]
    differences = [
        spread([value(words) - value(plain) for words, plain in pairs])
        for value in columns.values()
    ]
    lines.append(['words: first minus second', '', str(len(pairs)), *differences])
    return table(['network', 'rate', 'seeds', *columns], lines)


def _percent(name: str) -> Callable[[Row], float]:
    return lambda row: float(row[name]) * 100


def boxes(rows: list[Row], task: str) -> str:
    """Return average precision by size in percent: with classes, and of boxes of any class."""
    columns = {f'AP {size}': _percent(f'AP_{size}') for size in (*RANGES, 'all')}
    columns |= {f'{size}, any class': _percent(f'AP_{size}_any') for size in (*RANGES, 'all')}
    columns |= {'AP50 small, any class': _percent('AP50_small_any')}
    return compare(rows, task, columns)


def can_be_drawn(rows: list[Row]) -> bool:
    """Return whether there is a bar to draw."""
    return any(at_better_rate(rows, 'detect', network) for network in NETWORKS)


def plot(rows: list[Row], path: str) -> str:
    """Return the link to the plot, as soon as there is one."""
    if not can_be_drawn(rows):
        return f'Plot: {NOT_RUN}.'
    return f'![Average precision by size of the object]({path})'


def label_maps(rows: list[Row]) -> str:
    """Return the mIoU in percent."""
    return compare(rows, 'segment', {'mIoU': lambda row: float(row['mIoU'])})


def designs(rows: list[Row]) -> str:
    """Return what designs of the word pyramid reach at the larger rate, in percent."""
    columns: list[tuple[str, str, Callable[[Row], float]]] = [
        ('AP small', 'detect', _percent('AP_small')),
        ('AP all', 'detect', _percent('AP_all')),
        ('mIoU', 'segment', lambda row: float(row['mIoU'])),
        ('IoU, any digit', 'segment', _percent('IoU_any')),
        *((f'pixels right, {size}', 'segment', _percent(f'pixels_{size}')) for size in RANGES),
    ]
    lines = []
    for network in ('tnt', 'tnt_words', *DESIGNS):
        cells = []
        for _, task, value in columns:
            mine = [
                row
                for row in rows
                if (row['task'], row['network'], row['rate'], row['steps'])
                == (task, network, f'{RATES[-1]:g}', str(STEPS[task]))
                # rows of earlier versions have no numbers of pixels
                and (task == 'detect' or row['IoU_any'])
            ]
            cells.append(spread([value(row) for row in mine]))
        lines.append([NAMES[network], *cells])
    return table(['design', *(title for title, *_ in columns)], lines)


def hours(rows: list[Row]) -> str:
    """Return how many runs there are and how long they took."""
    lines = []
    for task in STEPS:
        minutes = [float(row['minutes']) for row in rows if row['task'] == task]
        took = f'{sum(minutes) / 60:.1f}' if minutes else NOT_RUN
        lines.append([task, str(len(minutes)), took])
    return table(['task', 'finished runs', 'hours of training'], lines)


def overfit(rows: list[Row]) -> str:
    """Return what each recipe has reached."""
    found = {(row['recipe'], row['steps'], row['batch'], row['rate']): row for row in rows}
    lines = []
    for name, recipe in RECIPES.items():
        row = found.get(key_of(name))
        faster = () if recipe.rate == 1 else (f'{recipe.rate:g} times the learning rate',)
        changes = '; '.join((*recipe.why, *faster, f'no {TAKEN_AWAY[recipe.data]}'))
        reached = [NOT_RUN, '', '']
        if row:
            verdict = 'yes' if float(row['value']) >= LEARNED else 'no'
            losses = f'{row["loss_start"]} to {row["loss_end"]}'
            reached = [f'{row["metric"]} {row["value"]}: {verdict}', losses, row['minutes']]
        lines.append(
            [name, f'`{recipe.config}`', *reached, f'{recipe.steps} x {recipe.batch}', changes]
        )
    return table(
        [
            'recipe', 'config', 'reached 0.9', 'loss, start to end', 'minutes',
            'steps x pictures', 'changes',
        ],
        lines,
    )  # fmt: skip


def strides(rows: list[Row]) -> str:
    """Return what freely trained logits of each stride reach."""
    lines = [[row['stride'], row['mIoU'], row['right']] for row in rows]
    return table(['stride of the map', 'mIoU', 'share of right pixels'], lines)


def pretraining(rows: list[Row]) -> str:
    """Return what CIFAR-10's weights gain, in percent."""
    lines = []
    for task in ('detect', 'segment'):
        values = {
            start: {
                row['seed']: float(row['value'])
                for row in rows
                if (row['task'], row['start']) == (task, start)
            }
            for start in ('scratch', 'cifar10')
        }
        gains = [
            value - values['scratch'][seed]
            for seed, value in values['cifar10'].items()
            if seed in values['scratch']
        ]
        runs = f'{sum(map(len, values.values()))} of {2 * len(SEEDS)}'
        cells = [spread(list(found.values())) for found in values.values()]
        lines.append([task, METRICS[task], runs, *cells, spread(gains)])
    top1 = [float(row['value']) for row in rows if row['task'] == 'classify']
    lines.append(
        ['CIFAR-10 itself', METRICS['classify'], f'{len(top1)} of 1', spread(top1), '', '']
    )
    head = ['task', 'metric', 'runs', 'from scratch', "from CIFAR-10's weights", 'gain']
    return table(head, lines)
