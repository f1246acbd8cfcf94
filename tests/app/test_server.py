"""Ports, addresses, and what gradio must not do."""

import os
import socket

import pytest

from tnt_backbone.app import server
from tnt_backbone.app.server import find_port, prepare_gradio


def test_a_free_port_is_found():
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf'--port {number}.*in use'):
            find_port('127.0.0.1', number)
        assert find_port('127.0.0.1', 0) != number
    assert find_port('127.0.0.1', number) == number


def test_the_next_port_is_taken_when_none_is_asked_for(monkeypatch):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        number = taken.getsockname()[1]
        monkeypatch.setattr(server, 'PORTS', range(number, number + 20))
        assert number < find_port('127.0.0.1', None) < number + 20
        monkeypatch.setattr(server, 'PORTS', range(number, number + 1))
        with pytest.raises(ValueError, match=rf'{number}.*--port'):
            find_port('127.0.0.1', None)


@pytest.mark.parametrize('host', ['192.0.2.1', 'no host'])  # one is for documentation only
def test_an_address_of_somebody_else_is_refused(host):
    with pytest.raises(ValueError, match=rf'--host {host}'):
        find_port(host, 0)


def test_without_gradio_the_message_names_the_extra(monkeypatch, tmp_path):
    for name in ('GRADIO_ANALYTICS_ENABLED', 'GRADIO_TEMP_DIR', 'NO_PROXY', 'no_proxy'):
        monkeypatch.setenv(name, 'example.org')  # put back afterwards
    monkeypatch.setitem(__import__('sys').modules, 'gradio', None)
    with pytest.raises(ImportError, match=r'tnt-backbone\[app\]'):
        prepare_gradio(str(tmp_path))
    assert os.environ['GRADIO_ANALYTICS_ENABLED'] == 'False'
    assert os.environ['NO_PROXY'].split(',') == ['example.org', *server.LOOPBACK]
