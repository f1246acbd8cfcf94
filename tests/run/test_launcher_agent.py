"""Which failures start the processes of a host again, when hosts come and go."""

import signal
import socket
from types import SimpleNamespace

import pytest
from torch.distributed.elastic.agent.server.api import RunResult, WorkerState
from torch.distributed.elastic.rendezvous import RendezvousConnectionError

from tnt_backbone.run import launcher_agent
from tnt_backbone.run.launcher_agent import Agent

HEALTHY, FAILED, AGAIN = WorkerState.HEALTHY, WorkerState.FAILED, WorkerState.UNHEALTHY


class Handler:
    """A rendezvous of two hosts, of which some are there and some are waiting."""

    def __init__(self, there, waiting):
        participants = dict.fromkeys(range(there or 0))
        self._state_holder = SimpleNamespace(state=SimpleNamespace(participants=participants))
        self.there, self.waiting = there, waiting

    def num_nodes_waiting(self):
        if self.there is None:
            raise RendezvousConnectionError
        return self.waiting


@pytest.fixture
def monitor(monkeypatch):
    """Return what an agent with one restart left makes of its processes and of the hosts."""

    def run(code, there, waiting, *, is_elastic=True):
        failures = {} if code is None else {0: SimpleNamespace(exitcode=code)}
        result = RunResult(state=FAILED if failures else HEALTHY, failures=failures)
        monkeypatch.setattr(Agent.__mro__[1], '_monitor_workers', lambda *_: result)
        monkeypatch.setattr(Agent, 'is_elastic', is_elastic)
        monkeypatch.setattr(launcher_agent, 'HOST_SECONDS', 0)
        agent = Agent.__new__(Agent)
        agent._remaining_restarts = 1
        killed = []
        agent._pcontext = SimpleNamespace(close=killed.append)
        spec = SimpleNamespace(rdzv_handler=Handler(there, waiting))
        group = SimpleNamespace(spec=spec, group_world_size=2)
        state = agent._monitor_workers(group).state
        return state, agent._remaining_restarts, killed == [signal.SIGKILL]

    return run


@pytest.mark.parametrize(
    ('code', 'there', 'waiting', 'expected'),
    [
        # exit status, hosts that are there, hosts that wait: state, restarts left, killed
        (None, 2, 0, (HEALTHY, 1, False)),
        (None, 2, 1, (HEALTHY, 1, False)),  # torch lets them save and starts again
        (None, 1, 0, (AGAIN, 2, True)),  # torch takes one restart away for that
        (3, 2, 0, (FAILED, 1, False)),  # a failure as on one host
        (3, 1, 0, (AGAIN, 2, True)),  # because the processes of another host are gone
        (3, 2, 1, (AGAIN, 2, True)),
        (75, 1, 0, (AGAIN, 2, True)),  # another host was asked to end
        (75, 2, 0, (FAILED, 0, False)),
        (75, None, 0, (FAILED, 0, False)),  # the host of the rendezvous was asked to end
        (2, 1, 0, (FAILED, 0, False)),  # a mistake would be made again
    ],
)
def test_hosts_that_come_and_go_are_no_failure(monitor, code, there, waiting, expected):
    assert monitor(code, there, waiting) == expected


def test_a_host_that_is_cut_off_does_not_go_on_alone(monitor):
    with pytest.raises(RendezvousConnectionError):
        monitor(None, None, 0)


@pytest.mark.parametrize(('code', 'left'), [(3, 1), (2, 0), (75, 0)])
def test_where_the_hosts_are_fixed_nobody_asks_for_them(monitor, code, left):
    assert monitor(code, None, 0, is_elastic=False) == (FAILED, left, False)


def test_the_host_of_the_rendezvous_is_waited_for(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(launcher_agent.os, 'execv', lambda *command: started.append(command))
    monkeypatch.setattr(launcher_agent.os, '_exit', lambda status: started.append(status))
    monkeypatch.setattr(launcher_agent, 'BACK_SECONDS', 0.2)
    monkeypatch.setattr(launcher_agent.time, 'sleep', lambda _: None)
    monkeypatch.setattr(Agent, 'last', None)
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        port = server.getsockname()[1]
        launcher_agent.take_part_anew('127.0.0.1', port)  # nobody listens
        assert started == [75]
        assert f'127.0.0.1:{port}' in capsys.readouterr().err
        server.listen()
        monkeypatch.setattr(launcher_agent.os, '_exit', None)
        monkeypatch.setattr(
            launcher_agent.os, 'execv', lambda *command: (_ for _ in ()).throw(SystemExit(command))
        )
        with pytest.raises(SystemExit) as again:
            launcher_agent.take_part_anew('127.0.0.1', port)
        assert again.value.code == (launcher_agent.sys.executable, launcher_agent.sys.orig_argv)
