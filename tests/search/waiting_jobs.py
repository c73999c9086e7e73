"""A job that takes as long as it may."""

import time


def run(payload, attachment):
    time.sleep(60)
    return {}, b""
