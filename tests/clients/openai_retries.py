"""Uses up what a key may call, then calls a model with the official OpenAI client as it comes.

Standard input is JSON: {"host", "port", "key"}. Standard output is JSON: {"text", "exchanges"}, where each exchange of the
one call is {"sent", "came", "status", "retry_after"}, with times in seconds of a clock that only goes forward. A call that
fails ends this program with a traceback.
"""

import http.client
import json
import sys
import time

import openai

TRIES_MAX = 1_000


def use_up(host, port, key):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    for _ in range(TRIES_MAX):
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 429:
            return
    sys.exit("the key has no limit")


def note_request(_request):
    exchanges.append({"sent": time.monotonic()})


def note_response(response):
    retry_after = response.headers.get("retry-after")
    exchanges[-1].update(came=time.monotonic(), status=response.status_code, retry_after=retry_after)


def ask(client):
    question = {"model": "echo", "messages": [{"role": "user", "content": "open the gate please"}]}
    return client.chat.completions.create(**question).choices[0].message.content


task = json.load(sys.stdin)
exchanges = []
hooks = {"request": [note_request], "response": [note_response]}
base_url = f"http://{task['host']}:{task['port']}/v1"
client = openai.OpenAI(api_key=task["key"], base_url=base_url, http_client=openai.DefaultHttpxClient(event_hooks=hooks))
# The client's first call takes long, as it loads much of itself: longer than it takes until a call comes back.
ask(client)
exchanges.clear()
use_up(task["host"], task["port"], task["key"])
text = ask(client)
json.dump({"text": text, "exchanges": exchanges}, sys.stdout)
