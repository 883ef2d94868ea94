"""Machines made of this one: network namespaces on a switch, each with folders of its own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

IP = shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
# The folder that a command runs in may be one of those that lie elsewhere: it is entered anew.
INSIDE = """
while [ "$1" != -- ]; do mount --bind "$2" "$1" || exit 1; shift 2; done
shift; cd "$PWD" && exec "$@"
"""


def lacking() -> str:
    """Why no machine can be made here; empty where it can."""
    if os.geteuid():
        return "only root makes networks"
    if not IP:
        return "ip is not installed (Debian: iproute2)"
    try:
        with network("10.20.0.5") as (host,):
            subprocess.run(host.command("true"), check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        return f"no networks can be made here: {error.stderr}"
    return ""


@dataclass
class Host:
    """A machine: the name of its namespace, its address, and what lies in it at which path."""

    name: str
    address: str
    mounts: dict[Path, Path] = field(default_factory=dict)

    def command(self, *command: str) -> tuple[str, ...]:
        """The command that runs another one in this machine."""
        mounts = [str(path) for mount in self.mounts.items() for path in mount]
        inside = ("sh", "-c", INSIDE, "sh", *mounts, "--", *command)
        return (IP or "ip", "netns", "exec", self.name, *inside)

    def processes(self) -> dict[int, str]:
        """The titles of its processes by their ids."""
        found = {}
        for number in _ip("netns", "pids", self.name).split():
            with suppress(OSError):
                title = Path("/proc", number, "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(number)] = title.decode(errors="replace").strip()
        return found

    def kill(self) -> None:
        """Kill all that runs in it, until nothing does."""
        while running := self.processes():
            for number in running:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.05)

    def lose(self) -> None:
        """Cut its power: not even the end of its connections is heard of."""
        _ip("-n", self.name, "link", "set", "eth0", "down")
        self.kill()


@contextmanager
def network(*addresses: str) -> Iterator[list[Host]]:
    """Machines that reach each other and nothing else; with all that runs in them gone at the end.

    The switch is in a namespace, too: nothing is added to this machine's own network.
    """
    token = uuid4().hex[:8]
    switch = f"switch-{token}"
    hosts = [Host(f"host-{place}-{token}", address) for place, address in enumerate(addresses)]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for place, host in enumerate(hosts):
            _ip("netns", "add", host.name)
            peer = ("peer", "name", f"port{place}", "netns", switch)
            _ip("-n", host.name, "link", "add", "eth0", "type", "veth", *peer)
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", host.name, "link", "set", device, "up")
            _ip("-n", switch, "link", "set", f"port{place}", "master", "bridge", "up")
        yield hosts
    finally:
        made = _ip("netns", "list").split()
        for host in hosts:
            if host.name in made:
                host.kill()
                _ip("netns", "delete", host.name)
        if switch in made:
            _ip("netns", "delete", switch)


def _ip(*arguments: str) -> str:
    done = subprocess.run([IP or "ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout
