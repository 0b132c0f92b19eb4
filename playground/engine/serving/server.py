"""Runs the engine process: imports libraries, then carries out commands until the input ends."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
import time

from playground.core.protocol import (
    Activity,
    Failed,
    Hello,
    Load,
    Progress,
    Ready,
)
from playground.engine.wire.inbox import Inbox, leave
from playground.engine.wire.sender import Sender

#: Set before any library is imported, unless the user has set them.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # an engine reads folders only
    "TRANSFORMERS_OFFLINE": "1",
    "USE_HUB_KERNELS": "0",  # with the library kernels, transformers would run code of the Hub
    "TOKENIZERS_PARALLELISM": "false",  # one prompt at a time
    "TRANSFORMERS_VERBOSITY": "error",
    # Huge pages for tensors: on a virtual machine they made a step in fp32 30 % shorter.
    "THP_MEM_ALLOC_ENABLE": "1",
    "GPTQMODEL_CPU_WORKERS": "2",  # its worker pool fails on two cores otherwise
    "GPTQMODEL_DISABLE_PACK_EXT": "1",  # compiling it takes minutes, packing without it seconds
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # gptqmodel sets it: all lanes must number GPUs alike
}


def serve(commands: int, events: int) -> None:
    """Carry out commands from one file descriptor, send events to the other; never return."""
    sender = Sender(events)
    sender.start_beating()
    sender.send(Hello(pid=os.getpid()))
    inbox = Inbox(commands)
    inbox.start()
    _prefer_as_oom_victim()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    sender.send(Progress(Activity.IMPORTING))
    began = time.monotonic()
    try:
        # Importing the libraries takes seconds: nothing above may do it.
        from playground.engine.machine.devices import engine_facts
        from playground.engine.serving.boundary import carry_out
        from playground.engine.serving.runtime import Runtime

        # Most models' modules import this; the first load need not wait for it.
        importlib.import_module("transformers.models.llama.modeling_llama")
        _quiet_libraries()
        runtime = Runtime(sender, inbox, importing_s=time.monotonic() - began)
        facts = engine_facts()
    except BaseException as error:
        _report_failed_import(sender, error)
        leave(1)
    sender.send(Ready(facts))
    if inbox.is_empty:
        runtime.measure_ahead()
    while True:
        command = inbox.next()
        failed = carry_out(command, runtime, sender, inbox)
        if not isinstance(command, Load):
            inbox.finish(command.request_id)
        if failed is not None:
            sender.send(failed)
            if not failed.alive:
                leave(1)


def _report_failed_import(sender: Sender, error: BaseException) -> None:
    import traceback

    if isinstance(error, ModuleNotFoundError) and error.name:
        message = f"The engine's environment lacks {error.name}."
    else:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        message = f"The engine's libraries could not be imported: {first_line}"
    remedy = (
        f"Run `pip install language-model-playground` in the environment of {sys.executable}, "
        "or choose another environment."
    )
    sender.send(Failed(message, remedy, traceback.format_exc(), alive=False))


def _prefer_as_oom_victim() -> None:
    """Make Linux kill this process first when memory runs out: the window can report that."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("800")
    except OSError:
        return


def _quiet_libraries() -> None:
    """Keep repeated messages off stderr, which is read to explain a failure."""
    # bitsandbytes warns at each call of each layer: "inputs will be cast to float16".
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    logging.getLogger("optimum").setLevel(logging.ERROR)
    threading.excepthook = _report_thread_failure


def _report_thread_failure(arguments: threading.ExceptHookArgs) -> None:
    name = arguments.thread.name if arguments.thread else "?"
    os.write(2, f"engine: thread {name} failed: {arguments.exc_value!r}\n".encode())
