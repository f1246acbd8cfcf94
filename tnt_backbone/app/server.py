"""From a page to a server on this machine."""

import errno
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingPackageError
from .uploads import Limits

LOCAL = '127.0.0.1'
PORTS = range(7860, 7960)  # the first free one is taken
LOOPBACK = ('127.0.0.1', 'localhost', '::1')


def prepare_gradio(folder: str) -> None:
    """Import gradio so that it calls nobody.

    Args:
        folder: Where it puts uploads.

    Raises:
        ImportError: If it is not installed.
    """
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    os.environ['GRADIO_TEMP_DIR'] = folder
    os.environ['HF_HUB_DISABLE_TELEMETRY'] = '1'
    # gradio asks its own server whether it runs; that must not go through a proxy
    for name in ('NO_PROXY', 'no_proxy'):
        given = os.environ.get(name)
        os.environ[name] = ','.join(filter(None, [given, *LOOPBACK]))
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"tnt app needs gradio ({error}). Run: pip install 'tnt-backbone[app]'"
        ) from error


def find_port(host: str, port: int | None) -> int:
    """Return a port that is free.

    Args:
        host: Address to listen on.
        port: The only one that is allowed; 0 means any, ``None`` the first of :data:`PORTS`.

    Raises:
        ValueError: If it is in use, or the address is not of this machine.
    """
    problem: OSError | None = None
    for number in PORTS if port is None else [port]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, number))
                return probe.getsockname()[1]
            except socket.gaierror as error:
                raise InputError(f'--host {host} is no address: {error.strerror}') from error
            except OSError as error:
                problem = error
                if error.errno == errno.EADDRNOTAVAIL:
                    raise InputError(
                        f'--host {host} is no address of this machine. Pass 127.0.0.1 (this '
                        'machine only) or 0.0.0.0 (all of its networks)'
                    ) from error
    asked = f'--port {port}' if port is not None else f'ports {PORTS[0]} to {PORTS[-1]}'
    raise InputError(
        f'{asked} cannot be used: {problem.strerror if problem else ""}. Pass another --port; 0 '
        'takes any that is free'
    )


def start(page: Any, limits: Limits, *, host: str = LOCAL, port: int | None = None) -> str:
    """Start to serve a page in a thread; return its address.

    Args:
        page: From :func:`build_page`.
        limits: Of an upload.
        host: Address to listen on.
        port: See :func:`find_port`.

    Raises:
        ValueError: See :func:`find_port`.
    """
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from .guard import Guard

    port = find_port(host, port)
    middleware = [Middleware(Guard, limits=limits)]
    if host in LOOPBACK:  # a name that somebody points at this machine is refused
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK)))
    page.queue(max_size=20)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        max_file_size=limits.bytes,
        state_session_capacity=100,
        app_kwargs={'middleware': middleware},
        # fonts of the reader's machine
        theme=gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['monospace']),
        css_paths=Path(__file__).with_name('page.css'),
    )
    return address


def wait() -> None:
    """Wait for Ctrl+C or SIGTERM."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
