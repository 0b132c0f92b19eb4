"""What the window costs, and what it takes from the engines: `python -m tests.benchmarks.gui`."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import PySide6
from PySide6.QtCore import QEventLoop, QObject, QTimer, Slot
from PySide6.QtGui import QGuiApplication

from playground.app.main import Playground, make_application
from playground.cli.options import Parser, positive
from playground.client.engine_process import EngineProcess, child_environment
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts, LoadRequest, ModelSpec
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.settings import Settings, SettingsStore
from playground.core.system.machine import processor
from playground.gui.lanes.run import RunResult
from playground.hub.local.prepare import Prepared
from tests.benchmarks import entry
from tests.benchmarks.gui_probe import GuiProbe, at, cpu_per_token
from tests.support.scripted_engine import scripted_command

_PROMPT = "Once upon a time"
_ROUNDS = 5
_REAL_TOKENS = 128
_PRECISIONS = (Precision.BF16, Precision.INT8, Precision.GPTQ, Precision.NF4)


@dataclass(frozen=True)
class Measure:
    """One line of the result; `target` is an upper bound, or a lower one with `at_least`."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def run(args: argparse.Namespace) -> int:
    """Measure everything and print it. Raises PlaygroundError where something could not be."""
    make_application(picture_only=True)
    seconds = args.tokens / args.rate
    sys.stderr.write(f"Streaming takes about {seconds:.0f} s, the bundled model a minute more.\n")
    streamed = _stream(args.lanes, args.rate, args.tokens)
    measures = [*streamed, *_against_bare(), _torch_absent()]
    conditions = _conditions(args)
    if args.json:
        rows = [{**asdict(m), "met": m.met} for m in measures]
        sys.stdout.write(json.dumps({"conditions": conditions, "measures": rows}) + "\n")
        return 0
    width = max(len(m.name) for m in measures)
    for m in measures:
        sign = "at least" if m.at_least else "at most"
        target = "" if m.target is None else f"  {sign} {m.target:g}"
        verdict = {None: "", True: "  met", False: "  MISSED"}[m.met]
        sys.stdout.write(f"{m.name:<{width}}  {m.value:9.3f} {m.unit:<8}{target}{verdict}\n")
    sys.stdout.write("\nConditions: " + "; ".join(f"{k} {v}" for k, v in conditions.items()) + "\n")
    return 0


class _Run(QObject):
    """Runs the window's prompt to its end inside the event loop."""

    def __init__(self, playground: Playground) -> None:
        super().__init__()
        self._playground = playground
        self._loop = QEventLoop(self)
        self._results: list[RunResult] = []
        playground.prompt.finished.connect(self._finished)

    def wait(self) -> RunResult:
        """Press Run and wait. Raises PlaygroundError where a lane did not answer."""
        self._results.clear()
        self._playground.prompt.run()
        if self._playground.prompt.run_controller.running:
            self._loop.exec()
        if not self._results or self._results[0].failed:
            failures = [lane.state.failure for lane in self._playground.lanes.lanes]
            told = [f.message for f in failures if f is not None]
            raise PlaygroundError("The measurement failed: " + " ".join(told))
        return self._results[0]

    @Slot(object)
    def _finished(self, result: RunResult) -> None:
        self._results.append(result)
        self._loop.quit()


class _Bare:
    """The bare loop in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.bare_generate"]
        self._process = subprocess.Popen(
            [*command, str(folder), _PROMPT, str(_REAL_TOKENS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=child_environment(),
        )
        self._answer()

    def rate(self) -> float:
        """Return the tokens/s of one generation."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # the missing answer tells it
                self._process.stdin.write("\n")
                self._process.stdin.flush()
        return float(self._answer()["decode_tok_s"])

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> dict[str, float]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            self._process.wait()
            raise PlaygroundError(
                "The bare loop could not run the bundled model.",
                "Look at what `playground doctor` says.",
            )
        answer: dict[str, float] = json.loads(line)
        return answer


def _window(lanes: Sequence[LaneConfig], tokens: int, store_folder: str) -> SettingsStore:
    store = SettingsStore(Path(store_folder) / "settings.toml")
    options = GenerationOptions(max_new_tokens=tokens, ignore_eos=True)
    store.values = Settings(
        lanes=tuple(lanes), options=options, timing="together", prompt=_PROMPT, keep_standby=False
    )
    return store


def _stream(count: int, rate: float, tokens: int) -> list[Measure]:
    """Measure scripted engines that stream into all lanes at once, with the live plot."""
    configs = [LaneConfig(precision=precision) for precision in _PRECISIONS[:count]]
    with tempfile.TemporaryDirectory() as folder:
        playground = Playground(
            _window(configs, tokens, folder),
            make_engine=lambda _: EngineProcess(scripted_command("--rate", str(rate))),
            prepare=_scripted,
            keep_settings=False,
        )
        playground.window.show()
        _settle()
        lanes = playground.lanes.lanes
        probe = GuiProbe(
            lambda: sum(len(lane.generation.trace) for lane in lanes if lane.generation)
        )
        probe.start()
        empty = probe.samples[0].resident
        result = _Run(playground).wait()
        probe.stop()
        answers = [lane.generation.answer for lane in result.answered if lane.generation]
        text = sum(len(answer.text) for answer in answers if answer)
        rates = _rates(playground)
        _close(playground)
    samples = probe.samples
    early, late = at(samples, 0.1), at(samples, 0.9)
    begin_cpu, end_cpu = cpu_per_token(samples, 0.02, 0.12), cpu_per_token(samples, 0.9, 1.0)
    grown = late.resident - early.resident
    grown_text = text * (late.tokens - early.tokens) / max(1, samples[-1].tokens)
    return [
        Measure("memory with empty lanes", empty / 1e6, "MB", 200),
        Measure("rate of each lane, as asked for", min(rates), "tok/s"),
        Measure("event-loop lateness p99", probe.lateness_ms(), "ms", 33),
        Measure("  in the last tenth", probe.lateness_ms(late.beats), "ms", 33),
        Measure("  the window's own work between two beats, p99", probe.work_ms(), "ms"),
        Measure("GUI thread", 100 * probe.cpu_share, "% core", 40),
        Measure("GUI time a token, first tenth", begin_cpu * 1e6, "µs"),
        Measure("GUI time a token, last tenth", end_cpu * 1e6, "µs"),
        Measure("  last to first", end_cpu / begin_cpu if begin_cpu else 0.0, "×", 1.1),
        Measure("memory grown, 10 % to 90 %", grown / 1e6, "MB"),
        Measure("  of that text, as Qt stores it", grown_text * _text_cost() / 1e6, "MB"),
        Measure("  a character shown", grown / grown_text if grown_text else 0.0, "bytes"),
    ]


def _against_bare() -> list[Measure]:
    """Measure the bundled model in the window and in a bare loop, in turns."""
    from playground.hub.local.resolve import resolve

    bare = _Bare(resolve(ModelSpec(), Precision.BF16).folder)
    seen, loop = [], []
    with tempfile.TemporaryDirectory() as folder:
        store = _window([LaneConfig()], _REAL_TOKENS, folder)
        playground = Playground(store, keep_settings=False)
        playground.window.show()
        runner = _Run(playground)
        runner.wait()  # loads, and warms up
        for number in range(_ROUNDS):
            for who in ("window", "bare") if number % 2 == 0 else ("bare", "window"):
                if who == "window":
                    runner.wait()
                    seen.append(_rates(playground)[0])
                else:
                    loop.append(bare.rate())
        _close(playground)
    bare.close()
    ratios = [a / b for a, b in zip(seen, loop, strict=True)]
    return [
        Measure("bundled model, seen in the window", statistics.median(seen), "tok/s"),
        Measure("bundled model, bare generate loop", statistics.median(loop), "tok/s"),
        Measure(
            "  window to bare, median of pairs", statistics.median(ratios), "×", 0.97, at_least=True
        ),
    ]


def _text_cost() -> float:
    """Return the bytes that a character costs in a plain Qt text field."""
    command = [sys.executable, "-m", "tests.benchmarks.text_memory"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=child_environment(), check=False
    )
    return float(done.stdout) if done.returncode == 0 else 0.0


def _rates(playground: Playground) -> list[float]:
    """Return the decode rates that the window's table shows, tokens/s."""
    figures = [presenter.figures()[0] for presenter in playground.lanes.presenters]
    return [figure.decode_tok_s or 0.0 for figure in figures]


def _close(playground: Playground) -> None:
    playground.window.close()
    playground.end()
    playground.window.deleteLater()


def _torch_absent() -> Measure:
    loaded = sum(name in sys.modules for name in ("torch", "transformers"))
    return Measure("torch or transformers in the window's process", loaded, "modules", 0)


def _settle() -> None:
    """Let the window be shown and drawn."""
    loop = QEventLoop()
    QTimer.singleShot(1000, loop.quit)
    loop.exec()


def _scripted(config: LaneConfig, _: EngineFacts | None) -> Prepared:
    return Prepared(LoadRequest(name="scripted", folder="", commit="", precision=config.precision))


def _conditions(args: argparse.Namespace) -> dict[str, str]:
    return {
        "processor": f"{processor().name}, {os.cpu_count()} cores",
        "load": f"{os.getloadavg()[0]:.1f} at the end",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "PySide6": PySide6.__version__,
        "Qt platform": QGuiApplication.platformName(),
        "window": "1280x720",
        "stream": f"{args.lanes} lanes at {args.rate:g} tokens/s, {args.tokens:,} tokens each",
        "real": f"bundled model, bf16, {_REAL_TOKENS} tokens, {_ROUNDS} pairs",
    }


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def arguments() -> Parser:
    """Return the parser of the benchmark's options."""
    gui = entry.parser(
        "gui",
        "Event-loop lateness, GUI thread load and memory while scripted engines stream into the "
        "window.",
    )
    gui.add_argument("--lanes", type=int, choices=(1, 2, 3, 4), default=3)
    gui.add_argument("--rate", type=_rate, default=1000.0, help="tokens/s of each lane")
    gui.add_argument("--tokens", type=positive, default=100_000, help="of each lane")
    return gui


if __name__ == "__main__":
    entry.run(arguments(), run)
