"""Hosts of their own network inside this machine, that can be cut off and connected again."""

import subprocess

ADDRESS = '192.0.2.{}'  # for examples (RFC 5737); nothing leaves this machine


class Hosts:
    """Two network namespaces with a cable, for as long as the object is used.

    They belong to a user namespace of their own, so no rights are needed, and the system removes
    them with the last process inside.

    Raises:
        OSError: If namespaces are not allowed here.
    """

    def __init__(self):
        self.anchors = []

    def __enter__(self):
        try:
            return self._make()
        except BaseException:
            self.__exit__()
            raise

    def _make(self):
        self.anchors.append(self._anchor('unshare', '--user', '--map-root-user', '--net'))
        self.anchors.append(self._anchor(*self.inside(0), 'unshare', '--net'))
        other = self.anchors[1].pid
        self._do(0, f'link add eth0 type veth peer name eth0 netns {other}')
        for number in (0, 1):
            self._do(number, f'addr add {ADDRESS.format(number + 1)}/24 dev eth0')
            self._do(number, 'link set eth0 up')
            self._do(number, 'link set lo up')
        return self

    def __exit__(self, *_):
        for anchor in self.anchors:
            anchor.kill()
            anchor.wait()

    def inside(self, number):
        """Return the start of a command that runs on a host."""
        return [
            *('nsenter', '--preserve-credentials', '--user', '--net'),
            *('--target', str(self.anchors[number].pid)),
        ]

    def cut(self, number):
        """Take the cable out: what is sent is lost, and nobody is told."""
        self._do(number, 'link set eth0 down')

    def connect(self, number):
        """Put it in again."""
        self._do(number, 'link set eth0 up')

    def _anchor(self, *command):
        script = 'echo ready; exec sleep infinity'
        process = subprocess.Popen(
            [*command, 'bash', '-c', script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if process.stdout.readline() != 'ready\n':
            raise OSError(process.communicate()[1].strip())
        return process

    def _do(self, number, command):
        done = subprocess.run(
            [*self.inside(number), 'ip', *command.split()],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OSError(f'ip {command}: {done.stderr.strip()}')
