"""A Slurm of one node on this machine, as root: set up in /etc/slurm, and taken down without residue."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

CONFIG = Path("/etc/slurm/slurm.conf")  # where else it stands, jobs do not find it
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
_MARK = "# Written by the tests of Morphoscope, which delete it again; their process and folder are:"
_SECONDS = 60
# Resources are what Slurm counts, not what this machine has: nothing confines a job to them.
_SETTINGS = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
KillWait=30
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE
"""


def why_not() -> str | None:
    """Why no Slurm can be set up here; None if it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no Slurm here: {', '.join(missing)} not found (Debian: apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "setting up a Slurm needs root"
    if CONFIG.exists():
        owner = _owner()
        if owner is None:
            return f"this machine has a Slurm of its own: {CONFIG}"
        if Path(f"/proc/{owner[0]}").exists():
            return f"other tests use Slurm at the moment: process {owner[0]}"
    return None


def _owner() -> tuple[int, Path] | None:
    """(process, folder) of the tests whose configuration it is; None if it is another one."""
    mark, _, facts = CONFIG.read_text().splitlines()[0].partition(":")
    if f"{mark}:" != _MARK:
        return None
    number, folder = facts.split()
    return int(number), Path(folder)


class OneNode:
    """The Slurm; its daemons run from `start` to `stop`.

    Args:
        folder: an empty one for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._munged: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemons, and wait until the node takes jobs."""
        if CONFIG.exists() and (killed := _owner()) is not None:
            _end_daemons(killed[1])
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self._start_munged()
        host, ports = socket.gethostname().partition(".")[0], (free_port(), free_port())
        settings = _SETTINGS.format(host=host, ports=ports, folder=self.folder)
        CONFIG.write_text(f"{_MARK} {os.getpid()} {self.folder}{settings}")
        # Not below this process: a daemon that outlives it would hold its output open.
        for name in ("slurmctld", "slurmd"):
            subprocess.run([name], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._wait_for("idle", ["sinfo", "--noheader", "--format=%T"])

    def stop(self) -> None:
        """Cancel what runs, end the daemons, and delete the configuration."""
        subprocess.run(["scancel", "--full", "--user=root"], check=False)
        deadline = time.monotonic() + _SECONDS
        while self.jobs() and time.monotonic() < deadline:
            time.sleep(0.2)
        _end_daemons(self.folder)
        if self._munged is not None:
            self._munged.terminate()
            self._munged.wait()
        CONFIG.unlink(missing_ok=True)

    def jobs(self) -> list[str]:
        """State and name of every job that waits or runs, e.g. "RUNNING wrap"."""
        shown = ["squeue", "--noheader", "--format=%T %j", "--states=PENDING,RUNNING,COMPLETING,SUSPENDED"]
        return subprocess.run(shown, capture_output=True, text=True, check=False).stdout.splitlines()

    def logs(self) -> str:
        """The last lines of the daemons' logs."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join("\n".join([file.name, *file.read_text().splitlines()[-10:]]) for file in files)

    def _start_munged(self) -> None:
        """As the user `munge`, with a key, a socket and files of its own."""
        folder = self.folder / "munge"
        folder.mkdir(mode=0o700)
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o400)
        socket_ = self.folder / "munge.socket"
        for path in (folder, folder / "key"):
            shutil.chown(path, "munge", "munge")
        shutil.chown(self.folder, "munge")
        words = [f"--{name}-file={folder / name}" for name in ("key", "pid", "log", "seed")]
        self._munged = subprocess.Popen(
            ["runuser", "-u", "munge", "--", "munged", "--foreground", f"--socket={socket_}", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_for(
            "STATUS: Success", ["sh", "-c", f"munge -n -S {socket_} | unmunge -S {socket_} | tr -s ' '"]
        )

    def _wait_for(self, wanted: str, command: list[str]) -> None:
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            if wanted in shown:
                return
            time.sleep(0.2)
        raise AssertionError(f"{command[0]} did not say {wanted!r}\n{self.logs()}")


def _end_daemons(folder: Path) -> None:
    """End the daemons whose process numbers stand in a folder."""
    for name in ("slurmd", "slurmctld", "munge/pid"):
        path = folder / (name if "/" in name else f"{name}.pid")
        with suppress(OSError, ValueError):
            number = int(path.read_text())
            os.kill(number, signal.SIGTERM)
            deadline = time.monotonic() + _SECONDS
            while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
                time.sleep(0.1)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
