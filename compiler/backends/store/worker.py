"""A process that compiles: a target comes in first, pickled, as a line of base64; then each unit as a line of JSON, and
one line goes out when it is done.

It is a fresh interpreter, not a fork or a `spawn`, so that it works from a script without a `__main__` guard, from a
notebook and beside a running thread pool.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.backends.store.objects import write_object
from fdif_dsl.compiler.backends.store.target import Target
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.backends.store.workers import READY


def main() -> None:
    """Compile units until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides; it closes the input
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else prints shall not be taken for an answer
    target: Target = pickle.loads(base64.b64decode(sys.stdin.readline()))
    print(READY, file=answers, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        unit = Unit(task["symbol"], task["source"], task["function"], task["signature"])
        answer: dict[str, Any]
        try:
            path = Path(task["path"])
            code = target.compile(unit, path.with_suffix(".py"))
            try:
                write_object(path, code)
                answer = {"done": unit.symbol}
            except OSError as error:
                answer = {"errno": error.errno, "error": error.strerror}
        except Exception:  # whatever it was, the parent shows it
            answer = {"error": traceback.format_exc()}
        try:
            print(json.dumps(answer), file=answers, flush=True)
        except BrokenPipeError:  # the parent was killed; there is nobody to complain to
            os._exit(1)


if __name__ == "__main__":
    main()
