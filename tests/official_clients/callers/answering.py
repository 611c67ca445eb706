"""The loop of every caller: a call comes as a line of JSON, and a line says what its client gave.

Runs in the client's environment, which has nothing of ours.
"""

import json
import sys


def answer(ways):
    """Make the calls of standard input to its end; `ways` makes one, by the name of its way.

    An answer is `{"result": ...}`, `{"events": [...]}`, or `{"error": {"type", "status", "text"}}` for what is raised.
    """
    for line in sys.stdin:
        call = json.loads(line)
        try:
            given = ways[call.pop("way")](**call)
        except Exception as error:  # whatever it is, the test is to see it
            given = {"error": _told(error)}
        print(json.dumps(given), flush=True)


def _told(error):
    kind = type(error)
    return {
        "type": f"{kind.__module__.partition('.')[0]}.{kind.__name__}",
        "status": getattr(error, "status_code", None),
        "text": str(error),
    }


def dumped(given):
    """What a client's object holds, as its own models write it."""
    return given.model_dump(mode="json")
