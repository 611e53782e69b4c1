"""Reads lists as RFC 9651 defines them.

Standard input is a JSON list of field values. Standard output is a JSON list of what each says: [[item, [[name, value],
...]], ...]. Strings are strings and integers are integers; what is of another type is an object that says so, and what is
no such list ends this program with a traceback.
"""

import json
import sys

import http_sf


def plain(bare):
    if isinstance(bare, str) or type(bare) is int:
        return bare
    return {"type": type(bare).__name__, "value": str(bare)}


def items(value):
    parsed = http_sf.parse(value.encode("ascii"), tltype="list")
    return [[plain(item), [[name, plain(each)] for name, each in parameters.items()]] for item, parameters in parsed]


json.dump([items(value) for value in json.load(sys.stdin)], sys.stdout)
