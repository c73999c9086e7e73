"""Jobs that take as long as they may, or longer."""

import time

from made_up import evaluate


def run(payload, attachment):
    time.sleep(60)
    return {}, b""


def late(payload, attachment):
    """End half a second after the time is over."""
    time.sleep(max(0.0, payload["seconds"] - payload["waited"] + 0.5))
    return evaluate(payload, attachment)
