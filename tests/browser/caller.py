"""Calls through the gateway, each over a connection of its own, so that they spread over Envoy's workers.

It fails where there is no answer at all; what the gateway says is for whoever asked to judge.
"""

import http.client
import os
import subprocess
import urllib.parse

# Enough to reach every worker of an Envoy with two.
ENOUGH = 8


def status(gateway, path, secret):
    """What a call gets."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(gateway).netloc, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {secret}"})
        return connection.getresponse().status
    finally:
        connection.close()


def statuses(gateway, path, secret):
    """What that many calls get."""
    return [status(gateway, path, secret) for _ in range(ENOUGH)]


def paste(program, text):
    """Has a program run a text that was copied, and returns what it printed."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run([*program, text], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{text}\nended with {done.returncode}: {done.stderr}"
    return done.stdout
