"""Calls a model through Envoy with the official OpenAI client and reports what its user would see.

Standard input is a JSON list of calls: {"base_url", "key", "stream"}, where a key of null sends no Authorization
header at all. Standard output is a JSON list of what became of each: {"text", "tokens"} or {"error", "status",
"code", "message"}. Anything that is not an answer of the API ends this program with a traceback.
"""

import json
import sys

import openai


def answer_of(call):
    client = openai.OpenAI(api_key=call["key"] or "none", base_url=call["base_url"], max_retries=0, timeout=10)
    question = {"model": "echo", "messages": [{"role": "user", "content": "open the gate please"}]}
    if call["key"] is None:
        question["extra_headers"] = {"Authorization": openai.Omit()}
    if not call["stream"]:
        completion = client.chat.completions.create(**question)
        return {"text": completion.choices[0].message.content, "tokens": completion.usage.total_tokens}
    text, tokens = "", None
    for chunk in client.chat.completions.create(**question, stream=True, stream_options={"include_usage": True}):
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        tokens = chunk.usage.total_tokens if chunk.usage else tokens
    return {"text": text, "tokens": tokens}


def outcome_of(call):
    try:
        return answer_of(call)
    except openai.APIStatusError as error:
        return {
            "error": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "message": error.body["message"],
        }


json.dump([outcome_of(call) for call in json.load(sys.stdin)], sys.stdout)
