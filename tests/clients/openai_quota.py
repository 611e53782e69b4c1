"""Calls a model once with the official OpenAI client as it comes, and says how that failed.

Standard input is JSON: {"host", "port", "key"}. Standard output is JSON: {"error", "code", "requests"}: the name of the
exception, the code that it carries, and how many requests the client sent. A call that succeeds is an error here.
"""

import json
import sys

import openai

task = json.load(sys.stdin)
requests = []
hooks = {"request": [requests.append]}
base_url = f"http://{task['host']}:{task['port']}/v1"
client = openai.OpenAI(api_key=task["key"], base_url=base_url, http_client=openai.DefaultHttpxClient(event_hooks=hooks))
try:
    client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "open the gate"}])
except openai.APIStatusError as error:
    json.dump({"error": type(error).__name__, "code": error.code, "requests": len(requests)}, sys.stdout)
else:
    sys.exit("the call was served")
