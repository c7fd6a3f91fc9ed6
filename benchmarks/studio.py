"""Load on the studio: sessions that drag the slider, and sessions that ask for attribution maps.

    python benchmarks/studio.py [--address http://127.0.0.1:7860/ --pid PID]

Without an address the studio of the bundled models is started for it, twice: with batches of one frame and of
16. Sessions send what the page sends, one position of the slider after the other, each when the last one's
frame has arrived. Memory is that of the studio's process.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from timing import machine

_SERVER = """
import sys
from morphoscope.apps import morphing
morphing.LARGEST_BATCH = int(sys.argv[1])
from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.apps.studio import build, serve
from morphoscope.classify import Ensemble
from morphoscope.generate import load
page = build(load(GENERATOR, "auto"), Ensemble.load(ENSEMBLE, "auto"))
page.workbench.prepare()
server = serve(page, port=0)
print(server.address, flush=True)
sys.stdin.read()
server.close()
"""


class Page:
    """What a browser knows after it has opened the studio: the functions, and which of them a drag calls."""

    def __init__(self, address: str) -> None:
        self.address = address
        text = urllib.request.urlopen(address).read().decode()
        found = re.search(r"window\.gradio_config = (\{.*?\});</script>", text, re.S)
        assert found is not None, "the studio's page"
        config = json.loads(found.group(1))
        served = [entry for entry in config["dependencies"] if entry["backend_fn"]]
        frame = next(entry for entry in served if entry["api_name"] == "frame")
        share = frame["inputs"][3]
        self.frame, self.conditions = frame["id"], self._conditions(config, frame["inputs"][0])
        self.dragged = [entry["id"] for entry in served if [share, "change"] in entry["targets"]]
        self.attribution = next(
            entry["id"]
            for entry in served
            if len(entry["inputs"]) == 7 and entry["api_name"] == "attribution"
        )

    def ask(self, session: str, function: int, data: list[Any]) -> str:
        """Request a function; the number of the request."""
        body = json.dumps({"data": data, "fn_index": function, "session_hash": session})
        request = urllib.request.Request(
            f"{self.address}gradio_api/queue/join", body.encode(), {"Content-Type": "application/json"}
        )
        number: str = json.load(urllib.request.urlopen(request))["event_id"]
        return number

    def wait(self, session: str, wanted: str) -> None:
        """Read a session's messages until the wanted request has been answered."""
        with urllib.request.urlopen(f"{self.address}gradio_api/queue/data?session_hash={session}") as lines:
            for line in lines:
                if not line.startswith(b"data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] == "process_completed" and message["event_id"] == wanted:
                    assert message["success"], message
                    return

    def _conditions(self, config: dict[str, Any], dropdown: int) -> list[str]:
        component = next(entry for entry in config["components"] if entry["id"] == dropdown)
        return [value for _, value in component["props"]["choices"]]


def drag(page: Page, seconds: float, number: int) -> list[float]:
    """Drag the slider for some time; the seconds that each frame took."""
    rng, session, times = np.random.default_rng(number), uuid4().hex, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        data = [*page.conditions[:2], number % 5, round(float(rng.uniform()), 2), 0.7]
        start = time.perf_counter()
        asked = {function: page.ask(session, function, data) for function in page.dragged}
        page.wait(session, asked[page.frame])
        times.append(time.perf_counter() - start)
    return times


def ask_for_map(page: Page, number: int) -> list[float]:
    """Ask for one map; the seconds that it took."""
    session, start = uuid4().hex, time.perf_counter()
    data = ["the most probable condition", "Integrated gradients", *page.conditions[:2], number, 0.5, 0.7]
    page.wait(session, page.ask(session, page.attribution, data))
    return [time.perf_counter() - start]


def together(count: int, session: Callable[[int], list[float]]) -> np.ndarray:
    """The times of `count` sessions at once."""
    with ThreadPoolExecutor(count) as pool:
        return np.concatenate(list(pool.map(session, range(count))))


def resident(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process in MB; VmHWM is its peak so far."""
    with Path(f"/proc/{pid}/status").open() as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field))


def measure(name: str, address: str, pid: int, seconds: float) -> None:
    """Measure a running studio and print one line for each kind of session."""
    page = Page(address)
    drag(page, 2, 0)
    before = resident(pid)
    times = together(20, lambda number: drag(page, seconds, number))
    middle, late = np.percentile(times, [50, 95])
    print(
        f"{name:20} 20 dragging: {len(times) / seconds:5.1f} images/s, p50 {middle:.2f} s, p95 {late:.2f} s, "
        f"memory {before:.0f} -> {resident(pid):.0f} MB",
        flush=True,
    )
    before = resident(pid)
    times = together(5, lambda number: ask_for_map(page, number))
    print(
        f"{name:20} 5 maps: first {times.min():.1f} s, last {times.max():.1f} s, "
        f"memory {before:.0f} -> {resident(pid):.0f} MB, peak {resident(pid, 'VmHWM'):.0f} MB",
        flush=True,
    )


def main() -> None:
    """Measure the studio at an address, or both that are started here."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", help="A studio that is running already.")
    parser.add_argument("--pid", type=int, help="Its process.")
    parser.add_argument("--name", default="studio")
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    print(f"{machine(torch.device('cpu'))}; load average {os.getloadavg()[0]:.1f}")
    if options.address:
        measure(options.name, options.address, options.pid, options.seconds)
        return
    for largest in (1, 16):
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(largest)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdin is not None and server.stdout is not None, "pipes"
        try:
            address = server.stdout.readline().strip()
            measure(f"batches of {largest}", address, server.pid, options.seconds)
        finally:
            server.stdin.close()
            server.wait()


if __name__ == "__main__":
    main()
