"""Uploads that are too large or too slow, and what a page may load."""

import asyncio

import pytest

from tnt_backbone.app.guard import FORM, HEADERS, Guard
from tnt_backbone.app.uploads import Limits

LIMITS = Limits(megabytes=0.001, seconds=0.05)  # 1000 bytes


async def read_all(scope, receive, send):
    """An application that reads a request and answers with its size."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get('body', b''))
        more = message.get('more_body', False)
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'a', b'b')]})
    await send({'type': 'http.response.body', 'body': str(size).encode()})


def ask(parts, *, path='/gradio_api/upload', method='POST', headers=(), pause=0.0, app=read_all):
    """Send a request; return the status, the headers and the body of the answer."""
    left, sent = list(parts), []

    async def receive():
        await asyncio.sleep(pause)
        part = left.pop(0)
        return {'type': 'http.request', 'body': part, 'more_body': bool(left)}

    async def send(message):
        sent.append(message)

    scope = {'type': 'http', 'method': method, 'path': path, 'headers': list(headers)}
    asyncio.run(Guard(app, LIMITS)(scope, receive, send))
    start, body = sent
    return start['status'], dict(start['headers']), body['body'].decode()


def test_a_small_upload_passes_with_headers():
    status, headers, body = ask([b'x' * 600, b'x' * 400])
    assert (status, body) == (200, '1000')
    assert headers[b'a'] == b'b'
    assert {name.lower().encode() for name in HEADERS} < set(headers)
    policy = headers[b'content-security-policy'].decode()
    assert 'http' not in policy  # no other address


def test_an_announced_size_is_refused_before_it_is_read():
    size = str(1000 + FORM + 1).encode()
    status, headers, body = ask([], headers=[(b'content-length', size)])
    assert (status, headers[b'connection']) == (413, b'close')
    assert '--max-megabytes' in body
    status, _, _ = ask([b'x'], headers=[(b'content-length', str(1000 + FORM).encode())])
    assert status == 200


def test_an_upload_of_unknown_size_is_refused_when_it_is_too_large():
    status, _, body = ask([b'x' * FORM, b'x' * 2000, b'x'])
    assert status == 413
    assert '0.1 MB' in body


def test_a_slow_upload_is_ended():
    status, _, body = ask([b'x'] * 100, pause=0.01)
    assert status == 408
    assert '0.05 seconds' in body
    assert '--max-seconds' in body


def test_other_requests_are_not_limited():
    for path, method in (('/gradio_api/queue/join', 'POST'), ('/upload', 'GET')):
        status, _, body = ask([b'x' * (FORM + 2000)], path=path, method=method)
        assert (status, body) == (200, str(FORM + 2000))


def test_an_error_of_the_app_stays_its_own():
    async def fails(scope, receive, send):
        raise KeyError('mine')

    with pytest.raises(KeyError, match='mine'):
        ask([b''], app=fails)
