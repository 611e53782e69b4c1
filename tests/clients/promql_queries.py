"""Reads a Grafana dashboard and says what its Prometheus queries ask for.

Standard input, or the file that is named, is the dashboard's JSON. Standard output is a JSON list of its queries: {"panel",
"expr", "legend": [label, ...], "selectors": [{"metric", "matchers": [[label, operator, value], ...], "labels": [label,
...], "groups": null | [label, ...]}, ...]}. `labels` are all that a query names around that selector, by which it groups or
joins; `groups` are those that are left at the end of it, or null if none are taken away. A query that does not parse ends
this program with a traceback.
"""

import json
import re
import sys

import promql_parser as promql

# What Grafana puts in before Prometheus sees a query. Any other variable is left as it is, and names nothing that exists.
VARIABLES = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "6h"}
# These have no hashes.
OPERATORS = [
    (promql.MatchOp.Equal, "="),
    (promql.MatchOp.NotEqual, "!="),
    (promql.MatchOp.Re, "=~"),
    (promql.MatchOp.NotRe, "!~"),
]


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panels(panel) if panel.get("panels") else ()


def plain(expr):
    return re.sub(r"\$\w+", lambda variable: VARIABLES.get(variable[0], variable[0]), expr)


def operator(matcher):
    return next(sign for known, sign in OPERATORS if known == matcher.op)


def selectors(node, labels, groups):
    """All below a node. What is nearest to the end of a query groups last."""
    match node:
        case promql.VectorSelector():
            matchers = [[each.name, operator(each), each.value] for each in node.matchers.matchers]
            if node.matchers.or_matchers:
                raise ValueError(f"alternatives in {node}")
            yield {"metric": node.name, "matchers": matchers, "labels": sorted(labels), "groups": groups}
        case promql.MatrixSelector():
            yield from selectors(node.vector_selector, labels, groups)
        case promql.AggregateExpr():
            modifier = node.modifier
            if modifier and modifier.type != promql.AggModifierType.By:
                raise ValueError(f"what is left of {node} is not known")
            by = list(modifier.labels) if modifier else []
            yield from selectors(node.expr, labels | set(by), by if groups is None else groups)
        case promql.BinaryExpr():
            modifier = node.modifier
            joined = set(modifier.matching.labels if modifier and modifier.matching else [])
            joined |= set(modifier.group_labels or [] if modifier else [])
            for side in (node.lhs, node.rhs):
                yield from selectors(side, labels | joined, groups)
        case promql.Call():
            for argument in node.args:
                yield from selectors(argument, labels, groups)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from selectors(node.expr, labels, groups)
        case promql.NumberLiteral() | promql.StringLiteral():
            pass
        case _:
            raise ValueError(f"unknown: {node}")


def query(panel, target):
    return {
        "panel": panel["title"],
        "expr": target["expr"],
        "legend": re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"]),
        "selectors": list(selectors(promql.parse(plain(target["expr"])), frozenset(), None)),
    }


with open(sys.argv[1], encoding="utf-8") if len(sys.argv) > 1 else sys.stdin as source:
    dashboard = json.load(source)
found = [query(panel, target) for panel in panels(dashboard) for target in panel.get("targets", [])]
json.dump(found, sys.stdout)
