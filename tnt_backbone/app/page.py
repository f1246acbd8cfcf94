"""The page: what is on it, and what each control does."""

import sys
import traceback
from typing import Any

import gradio as gr

from ..errors import UserError
from ..predict.results import SCORE
from . import tables
from .answers import LEAST_SCORE
from .viewer import Viewer

PREDICTIONS, EVIDENCE, ATTENTION = 'predictions', 'evidence', 'attention'
SENTENCE, CLASS_TOKEN = 'the sentence at the point', 'the class token'


def build_page(viewer: Viewer, name: str) -> gr.Blocks:
    """Return the page of a model.

    Args:
        viewer: The model.
        name: What the model is called.
    """
    model = viewer.model
    finds_objects = model.task == 'detection'
    views = [PREDICTIONS]
    views += [EVIDENCE] if viewer.can_explain else []
    views += [ATTENTION] if viewer.blocks else []
    with gr.Blocks(
        title='tnt app',
        analytics_enabled=False,
        delete_cache=(600, 3600),  # seconds: uploads are deleted after an hour
    ) as page:
        gr.HTML(tables.summary(name, model.task, model.classes))
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                upload = gr.File(
                    label='Picture',
                    file_types=['image'],
                    elem_id='upload',
                )
                # an address instead of a file would make the server open a connection
                upload.async_move_resource_to_block_cache = _refuse_addresses(upload)
                gr.HTML(tables.note(f'At most {viewer.limits} of upload.'), elem_classes='soft')
                view = gr.Radio(
                    views, value=PREDICTIONS, label='Show', visible=len(views) > 1, elem_id='view'
                )
                score = gr.Slider(
                    LEAST_SCORE, 1, SCORE, step=0.01, label='Lowest score', buttons=[],
                    visible=finds_objects, elem_id='score',
                )  # fmt: skip
                opacity = gr.Slider(
                    0, 1, 0.5, step=0.05, label='Opacity', buttons=[], elem_id='opacity'
                )
                subject = gr.Dropdown(
                    type='index', label='Evidence for', visible=False, elem_id='subject'
                )
                block = gr.Dropdown(
                    viewer.blocks,
                    value=viewer.blocks[len(viewer.blocks) // 2] if viewer.blocks else None,
                    type='index',
                    label='Block',
                    visible=False,
                    elem_id='block',
                )
                reader = gr.Radio(
                    [SENTENCE, CLASS_TOKEN], value=SENTENCE, label='What reads', visible=False,
                    elem_id='reader',
                )  # fmt: skip
            with gr.Column(scale=3, min_width=300):
                note = gr.HTML(tables.note('Choose a picture.'), elem_id='note')
                picture = gr.Image(
                    show_label=False, interactive=False, buttons=['download', 'fullscreen'],
                    elem_id='picture',
                )  # fmt: skip
                words = gr.Image(
                    show_label=False, interactive=False, visible=False, buttons=[],
                    elem_id='words',
                )  # fmt: skip
                table = gr.HTML(elem_id='table')
        click = gr.State(None)

        inputs = [upload, view, score, opacity, subject, block, reader, click]

        def answer(
            path: str | None,
            shown: str,
            least: float,
            strength: float,
            about: int | None,
            number: int | None,
            reading: str,
            place: tuple[float, float] | None,
        ) -> dict[Any, Any]:
            updates = {
                score: gr.update(visible=finds_objects and shown != ATTENTION),
                subject: gr.update(visible=shown == EVIDENCE),
                block: gr.update(visible=shown == ATTENTION),
                reader: gr.update(visible=shown == ATTENTION),
                opacity: gr.update(visible=True),
                words: gr.update(visible=False, value=None),
                picture: None,
                table: '',
                note: tables.note('Choose a picture.'),
            }
            if path is None:
                return updates
            if shown == PREDICTIONS:
                found = viewer.answer(path, least)
                number_found = len(found.rows)
                text = f'{number_found} object{"s" * (number_found != 1)}' if finds_objects else ''
                has_areas = found.masks is not None or found.labels is not None
                updates[opacity] = gr.update(visible=has_areas)
                updates[picture] = found.draw(strength)
                updates[table] = tables.table(found.rows)
                updates[note] = tables.note(text)
            elif shown == EVIDENCE:
                about = about or 0
                updates[picture], titles = viewer.evidence(path, least, about, strength)
                about = about if about < len(titles) else 0
                # numbered: two objects may have equal names
                choices = [f'{i + 1}. {title}' for i, title in enumerate(titles)]
                updates[subject] = gr.update(visible=True, choices=choices, value=choices[about])
                updates[note] = tables.note(f'Where the evidence lies for {titles[about]}')
            else:
                found_at = viewer.attention(
                    path, number or 0, place, strength, of_class_token=reading == CLASS_TOKEN
                )
                updates[picture] = found_at.pixels
                if found_at.words is not None:
                    updates[words] = gr.update(visible=True, value=found_at.words)
                x, y = found_at.point
                updates[note] = tables.note(
                    f'Point ({x}, {y}). Click another one in the picture.', *found_at.texts
                )
            return updates

        def guarded(*values: Any) -> dict[Any, Any]:
            try:
                with viewer.in_time():
                    return answer(*values)
            except UserError as error:
                text = str(error)
            except Exception as error:
                # a picture that nobody foresaw ends its own answer, not the app
                traceback.print_exc(file=sys.stderr)
                text = f'No answer: {type(error).__name__}: {error}. The terminal says where'
            updates = answer(None, *values[1:])
            path = str(values[0] or '')
            text = text.replace(path, path.rpartition('/')[2]) if path else text
            return {**updates, note: tables.error(text)}

        outputs = [picture, words, note, table, score, opacity, subject, block, reader]
        # one at a time, however many windows are open: the model may need all of the memory
        shared: dict[str, Any] = {
            'api_visibility': 'private', 'concurrency_limit': 1, 'concurrency_id': 'model',
            'show_progress_on': picture,
        }  # fmt: skip

        def on_new_picture(*values: Any) -> dict[Any, Any]:
            updates = guarded(*values[:4], None, *values[5:7], None)
            return {**updates, click: None}

        def on_click(event: gr.SelectData, *values: Any) -> dict[Any, Any]:
            place = tuple(event.index)
            return {**guarded(*values[:-1], place), click: place}

        upload.change(on_new_picture, inputs, [*outputs, click], **shared)
        controls = [score, opacity, subject, block, reader, view]
        gr.on(
            [control.input for control in controls],
            guarded,
            inputs,
            outputs,
            trigger_mode='always_last',  # a slider that moves asks often
            **shared,
        )
        picture.select(on_click, inputs, [*outputs, click], trigger_mode='always_last', **shared)
    return page


def _refuse_addresses(component: Any) -> Any:
    move = component.async_move_resource_to_block_cache

    async def move_file(path: Any) -> Any:
        if '://' in str(path):
            raise gr.Error('Upload a file. Addresses are not opened', print_exception=False)
        return await move(path)

    return move_file
