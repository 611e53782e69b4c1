"""Sends HTTP/2 requests that no well-behaved client would send, and reports the answers.

Standard input is JSON: {"host", "port", "requests": [[[name, value], ...], ...]}, header fields as text whose
characters U+0000 to U+00FF stand for bytes. Each request goes over a connection of its own, in clear text with prior
knowledge. Standard output is a JSON list of {"status", "headers", "body"}, or {"reset": code} where Envoy ended the
stream or the connection without an answer.
"""

import json
import socket
import sys

import h2.config
import h2.connection
import h2.events

UNCHECKED = h2.config.H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
)


def exchange(address, fields):
    connection = h2.connection.H2Connection(config=UNCHECKED)
    with socket.create_connection(address, timeout=10) as stream:
        connection.initiate_connection()
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        connection.send_headers(1, fields, end_stream=True)
        stream.sendall(connection.data_to_send())
        answer = {"body": ""}
        while received := stream.recv(65_536):
            for event in connection.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in event.headers]
                    answer["headers"] = headers
                    answer["status"] = int(dict(headers)[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    answer["body"] += event.data.decode("utf-8")
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    return answer if "status" in answer else {"reset": int(event.error_code)}
                elif isinstance(event, h2.events.StreamEnded):
                    return answer
            stream.sendall(connection.data_to_send())
    return answer if "status" in answer else {"reset": -1}


task = json.load(sys.stdin)
json.dump([exchange((task["host"], task["port"]), fields) for fields in task["requests"]], sys.stdout)
