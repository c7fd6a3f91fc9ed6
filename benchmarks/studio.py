"""The studio as its users feel it: start, drag, change of ends, many sessions, and malformed requests.

    python benchmarks/studio.py [--seconds 60] [--generator FILE] [--ensemble FILE]

Starts `morphoscope app` for itself. What a browser shows is timed in headless Chromium: from the event (its
time stamp, when the browser got it) until the frame that shows its effect has been painted. Sessions are
programs that send what the page sends: 20 change one end of a morph, each when the last answer has arrived,
and 5 ask for attribution maps. Memory is that of the studio's process.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from playwright.sync_api import Page, sync_playwright
from timing import machine

CHROMIUM = "/usr/bin/chromium"
# Each move of the slider -> milliseconds until it was painted: a message that is sent in the frame's callback
# arrives when the frame has been painted.
_TIME_MOVES = """() => {
    window.moves = [];
    document.querySelector("input[name=at]").addEventListener("input", (event) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => window.moves.push(performance.now() - event.timeStamp);
        requestAnimationFrame(() => port2.postMessage(0));
    });
}"""
# Changes an end; milliseconds until the coarse and until all frames were painted.
_CHANGE_END = """(condition) => new Promise((resolve) => {
    const [place, start, found] = [document.querySelector("[data-frames]"), performance.now(), {}];
    place.removeAttribute("data-frames");
    new MutationObserver((_, observer) => {
        const kind = place.dataset.frames;
        if (!kind) return;
        requestAnimationFrame(() => setTimeout(() => {
            found[kind] = performance.now() - start;
            if (kind === "all") { observer.disconnect(); resolve(found); }
        }));
    }).observe(place, { attributes: true });
    const choice = document.querySelector("select[name=b]");
    choice.value = condition;
    choice.dispatchEvent(new Event("change", { bubbles: true }));
})"""


class Studio:
    """A running studio, and requests to it."""

    def __init__(self, address: str, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.address, self.process, self.errors = address, process, errors
        page = urllib.request.urlopen(address).read().decode()
        found = re.search(r"window\.gradio_config = (\{.*?\});</script>", page, re.S)
        assert found is not None, "the studio's page"
        components = json.loads(found.group(1))["components"]
        self.morph = next(each for each in components if each["props"].get("elem_id") == "morph")
        self.conditions = self.morph["props"]["props"]["conditions"]

    def call(self, name: str, session: str, **values: object) -> dict[str, Any]:
        """Call a server function of the Morph tab as the page does; its answer, which must be no error."""
        ends = {"a": self.conditions[0], "b": self.conditions[1], "seed_a": 0, "seed_b": 0}
        data = {**ends, "psi": 0.7, "even": True, "page": session, **values}
        answer = self.post(
            {"component_id": self.morph["id"], "fn_name": name, "data": data, "session_hash": session}
        )
        assert "error" not in answer, answer
        return answer

    def post(self, body: object) -> dict[str, Any]:
        """Post JSON to the server functions."""
        url = f"{self.address}gradio_api/component_server/"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.load(urllib.request.urlopen(request))
        return answer

    def memory(self) -> float:
        """Resident memory in MB."""
        with Path(f"/proc/{self.process.pid}/status").open() as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


@contextmanager
def running(options: argparse.Namespace) -> Iterator[tuple[Studio, float]]:
    """A studio of its own, and when it was started."""
    models = ["--generator", options.generator] if options.generator else []
    models += ["--ensemble", options.ensemble] if options.ensemble else []
    command = [sys.executable, "-m", "morphoscope.apps", "app", "--port", str(options.port), *models]
    with tempfile.NamedTemporaryFile(suffix=".log") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            yield (
                Studio(_answering(f"http://127.0.0.1:{options.port}/", process), process, Path(errors.name)),
                start,
            )
        finally:
            process.terminate()
            process.wait()


def _answering(address: str, process: subprocess.Popen[bytes]) -> str:
    while process.poll() is None:
        try:
            urllib.request.urlopen(address).read(1)
            return address
        except OSError:
            time.sleep(0.02)
    raise SystemExit("The studio did not start.")


def in_a_browser(studio: Studio, start: float) -> None:
    """Start, drags and changes of ends, in Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(studio.address)
        page.wait_for_selector("[data-frames]")
        print(
            f"start to first picture: {time.perf_counter() - start:.1f} s, the browser's own start included"
        )
        page.wait_for_selector("[data-frames=all]")
        moves = drag(page)
        print(f"drag, pointer to pixels: {quantiles(moves)} ms of {len(moves)} moves")
        changes = [page.evaluate(_CHANGE_END, name) for name in studio.conditions[2:]]
        for kind in ("coarse", "all"):
            print(f"change of an end to {kind} frames: {quantiles([change[kind] for change in changes])} ms")
        browser.close()


def drag(page: Page) -> list[float]:
    """Drag the slider back and forth; milliseconds of each move."""
    box = page.locator("input[name=at]").bounding_box()
    assert box is not None, "the slider is shown"
    page.evaluate(_TIME_MOVES)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 10, y)
    page.mouse.down()
    for turn in range(6):
        page.mouse.move(box["x"] + (box["width"] - 10 if turn % 2 == 0 else 10), y, steps=60)
    page.mouse.up()
    found: list[float] = page.evaluate("window.moves")
    return found


def many_sessions(studio: Studio, seconds: float) -> None:
    """20 sessions that change ends and 5 that ask for maps, at once."""
    of_frame = {"target": studio.conditions[0], "method": "Integrated gradients"}
    studio.call("attribution", "first", ratio=0, **of_frame)  # what the first map needs stays
    before, end = studio.memory(), time.perf_counter() + seconds

    def change(number: int) -> list[float]:
        rng = np.random.default_rng(number)

        def once(session: str) -> None:
            values = {
                "b": str(rng.choice(studio.conditions)),
                "seed_a": int(rng.integers(5)),
                "seed_b": number,
            }
            studio.call("coarse", session, **values)
            studio.call("morph", session, **values)

        return repeated(once, end)

    def ask(number: int) -> list[float]:
        values = {"ratio": number / 5, **of_frame}
        return repeated(lambda session: studio.call("attribution", session, **values), end)

    with ThreadPoolExecutor(25) as pool:
        changing = [pool.submit(change, number) for number in range(20)]
        asking = [pool.submit(ask, number) for number in range(5)]
        changes = np.concatenate([each.result() for each in changing])
        maps = np.concatenate([each.result() for each in asking])
    print(
        f"20 sessions changing ends: {len(changes)} morphs without an error, {quantiles(1000 * changes)} ms"
    )
    print(f"5 sessions asking for maps: {len(maps)} maps without an error, {quantiles(1000 * maps)} ms")
    print(f"memory: {before:.0f} -> {studio.memory():.0f} MB")


def repeated(once: Callable[[str], object], end: float) -> list[float]:
    """Seconds of each run until `end`."""
    session, times = uuid4().hex, []
    while time.perf_counter() < end:
        start = time.perf_counter()
        once(session)
        times.append(time.perf_counter() - start)
    return times


def malformed(studio: Studio, count: int) -> None:
    """Requests of wrong form and with wrong values."""
    rng, statuses = np.random.default_rng(0), Counter[int]()
    size = studio.errors.stat().st_size
    for _ in range(count):
        try:
            urllib.request.urlopen(_malformed(studio, rng), timeout=60).read()
            statuses[200] += 1
        except urllib.error.HTTPError as error:
            statuses[error.code] += 1
    told = studio.errors.read_text()[size:]
    print(
        f"{count} malformed requests: {dict(sorted(statuses.items()))}, {told.count('Traceback')} tracebacks"
    )


def _malformed(studio: Studio, rng: np.random.Generator) -> urllib.request.Request:
    strange = [
        None,
        True,
        -1,
        1e308,
        float("nan"),
        "",
        "\0",
        "x" * 5000,
        "/etc/passwd",
        "../..",
        "http://a",
        [],
        {},
    ]

    def any_value() -> object:
        return strange[rng.integers(len(strange))]

    data: object = {
        name: any_value() for name in ("a", "b", "seed_a", "seed_b", "psi", "even", "ratio", "method")
    }
    name: object = str(rng.choice(["coarse", "morph", "picture", "attribution", "change", "launch"]))
    kind = rng.integers(4)
    path = "gradio_api/queue/join" if kind == 0 else "gradio_api/component_server/"
    if kind == 1:
        data, name = any_value(), any_value()
    event = {
        "fn_index": int(rng.integers(-2, 9)),
        "data": [any_value()] * int(rng.integers(5)),
        "session_hash": "m",
    }
    call = {"component_id": studio.morph["id"], "fn_name": name, "data": data, "session_hash": "m"}
    body = json.dumps(event if kind == 0 else call).encode()
    if kind == 3:
        body = bytes(rng.permutation(np.frombuffer(body, np.uint8)))
    return urllib.request.Request(studio.address + path, body, {"Content-Type": "application/json"})


def quantiles(values: Any) -> str:
    """Median and 95th percentile."""
    middle, late = np.percentile(values, [50, 95])
    return f"p50 {middle:.0f}, p95 {late:.0f}"


def main() -> None:
    """Measure the studio of the bundled models, or of those given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--generator")
    parser.add_argument("--ensemble")
    parser.add_argument("--port", type=int, default=7861)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=1000, help="Malformed ones.")
    options = parser.parse_args()
    print(f"{machine(torch.device('cpu'))}; load average {os.getloadavg()[0]:.1f}")
    with running(options) as (studio, start):
        in_a_browser(studio, start)
        many_sessions(studio, options.seconds)
        malformed(studio, options.requests)


if __name__ == "__main__":
    main()
