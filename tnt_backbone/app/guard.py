"""What stands between the network and the app: limits of an upload, and what a page may load."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .uploads import MEGA, Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FORM = 100_000  # bytes that a form has besides the file
# gradio's page has scripts and styles of its own; nothing comes from another address
HEADERS = {
    'Content-Security-Policy': "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
}


class Guard:
    """An ASGI middleware.

    Args:
        app: What is guarded.
        limits: Of an upload. One that is larger or slower is ended with a message.
    """

    def __init__(self, app: Any, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                pairs = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message['headers'] = [*message.get('headers', []), *pairs]
            await send(message)

        if scope['method'] == 'POST' and scope['path'].endswith('/upload'):
            await self._upload(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = dict(scope['headers']).get(b'content-length', b'')
        most = self.limits.bytes + FORM
        if announced.isdigit() and int(announced) > most:
            await self._refuse(send, 413, self._too_large(int(announced)))
            return
        end = time.monotonic() + self.limits.seconds
        read = 0

        async def receive_in_time() -> Message:
            nonlocal read
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            message = await asyncio.wait_for(receive(), left)
            read += len(message.get('body', b''))
            if read > most:  # a size need not be announced
                raise OverflowError
            return message

        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive_in_time, send_and_note)
        except (TimeoutError, OverflowError) as error:
            if started:
                raise
            if isinstance(error, OverflowError):
                await self._refuse(send, 413, self._too_large(read))
            else:
                await self._refuse(
                    send,
                    408,
                    f'The upload took longer than {self.limits.seconds:g} seconds. Make the '
                    'picture smaller, or start the app with --max-seconds',
                )

    def _too_large(self, size: int) -> str:
        return (
            f'The upload has {size / MEGA:.1f} MB, and {self.limits.megabytes:g} are allowed. Make '
            'the picture smaller, or start the app with --max-megabytes'
        )

    async def _refuse(self, send: Send, status: int, text: str) -> None:
        body = text.encode()
        headers = [
            (b'content-type', b'text/plain; charset=utf-8'),
            (b'content-length', str(len(body)).encode()),
            (b'connection', b'close'),  # the rest of the upload is not read
        ]
        await send({'type': 'http.response.start', 'status': status, 'headers': headers})
        await send({'type': 'http.response.body', 'body': body})
