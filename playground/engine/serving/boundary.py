"""The boundary of the engine: every command ends here, and its errors become events."""

from __future__ import annotations

from playground.core.errors import EngineError
from playground.core.protocol import (
    CountTokens,
    Failed,
    Generate,
    Load,
    LookAtServer,
    MeasureQuantizing,
    Quantize,
    Score,
    ScoreContinuations,
    Work,
)
from playground.engine.machine import memory
from playground.engine.machine.errors import failure
from playground.engine.quantizing import job as quantizing
from playground.engine.serving.runtime import Runtime
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.sender import Sender


def carry_out(command: Work, runtime: Runtime, sender: Sender, inbox: Inbox) -> Failed | None:
    """Carry out a command, which sends its own result; return the failure to report, or None.

    Errors of every kind are caught: Rust's panics and a `sys.exit` in a model's own code are no
    Exception.
    """
    request_id = None if isinstance(command, Load) else command.request_id
    try:
        match command:
            case Load(request=request):
                doing, device = "Loading the model", request.device
                runtime.load(request)
            case Generate():
                doing, device = "Generating", runtime.device
                runtime.generate(command)
            case Score():
                doing, device = "Scoring", runtime.device
                runtime.score(command)
            case MeasureQuantizing(request=request):
                doing, device = "Measuring a layer", request.device
                quantizing.measure(command, sender, inbox)
            case Quantize(request=request):
                doing, device = "Quantizing", request.device
                quantizing.quantize(command, sender, inbox)
            case CountTokens():
                doing, device = "Counting the tokens", "cpu"
                runtime.count(command)
            case ScoreContinuations():
                doing, device = "Scoring", runtime.device
                runtime.score_continuations(command)
            case LookAtServer():
                doing, device = "Looking at a server", "cpu"
                raise EngineError("This engine runs models of this machine only.")
    except BaseException as error:
        failed = failure(error, doing, device, request_id)
    else:
        return None
    # After the except block nothing refers to a half-loaded model any more.
    memory.release()
    return failed
