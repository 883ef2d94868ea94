"""Machines made of this one, by namespaces: a network, processes and folders of their own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

IP = shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or ""
NEW = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc")
# The first process of a machine. When it ends, all others are killed and the machine is gone; it
# ends with its standard input, so that nothing is left even of tests that are killed.
FIRST = """
mount -t tmpfs tmpfs /dev/shm || exit 1
while [ $# -gt 0 ]; do mount --bind "$2" "$1" || exit 1; shift 2; done
echo begun; cat; :
"""


def lacking() -> str:
    """Why no machine can be made here; empty where it can."""
    if os.geteuid():
        return "only root makes networks"
    if not IP:
        return "ip is not installed (Debian: iproute2)"
    try:
        with network({"10.20.0.5": {}}):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no machines can be made here: {error}"


@dataclass
class Host:
    """A machine: who holds it, and its first process."""

    address: str
    holder: "subprocess.Popen[str]"
    first: int

    def command(self, *command: str, folder: Path) -> tuple[str, ...]:
        """The command that runs another one in a folder of this machine."""
        enter = ("nsenter", "--target", str(self.first), "--net", "--mount", "--pid")
        return (*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(folder), *command)

    def titles(self) -> list[str]:
        """What its processes call themselves."""
        found = []
        here = Path(f"/proc/{self.first}/ns/net").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "ns/net").readlink() == here:
                    title = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    found.append(title.decode(errors="replace").strip())
        return found

    def lose(self) -> None:
        """Cut its power: not even the end of its connections is heard of."""
        _ip(self, "link", "set", "eth0", "down")
        self.kill()

    def kill(self) -> None:
        """Kill all that runs in it; returns when nothing does."""
        if self.holder.poll() is None:
            os.kill(self.first, signal.SIGKILL)
        self.holder.communicate()


@contextmanager
def network(hosts: Mapping[str, Mapping[Path, Path]]) -> Iterator[list[Host]]:
    """Machines by address that reach each other and nothing else; gone at the end.

    In each, other folders lie at some paths: `{path: folder}`. The switch is a machine, too, so
    that nothing is added to this one's own network.
    """
    with ExitStack() as stack:
        switch = _begun("", {})
        stack.callback(switch.kill)
        _ip(switch, "link", "add", "bridge", "type", "bridge")
        _ip(switch, "link", "set", "bridge", "up")
        found = []
        for place, (address, folders) in enumerate(hosts.items()):
            host = _begun(address, folders)
            stack.callback(host.kill)
            peer = ("peer", "name", "eth0", "netns", str(host.first))
            _ip(switch, "link", "add", f"port{place}", "type", "veth", *peer)
            _ip(switch, "link", "set", f"port{place}", "master", "bridge", "up")
            _ip(host, "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip(host, "link", "set", device, "up")
            found.append(host)
        yield found


def _begun(address: str, folders: Mapping[Path, Path]) -> Host:
    mounts = [str(path) for mount in folders.items() for path in mount]
    holder = subprocess.Popen(
        [*NEW, "sh", "-c", FIRST, "sh", *mounts], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True
    )
    assert holder.stdout and holder.stderr
    if not holder.stdout.readline():
        raise OSError(holder.communicate()[1])
    (first,) = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
    return Host(address, holder, int(first))


def _ip(host: Host, *arguments: str) -> None:
    enter = ("nsenter", "--target", str(host.first), "--net")
    subprocess.run([*enter, IP, *arguments], check=True, capture_output=True)
