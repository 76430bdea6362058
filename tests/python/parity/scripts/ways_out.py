"""One program for both packages: everything that a message can leave a program by. Prints what came out."""

import copy
import csv
import io
import json
import operator
import sqlite3
import sys
from collections.abc import Iterable, Sequence

from ttn.utils import json2obj

TEXT = (
    '{"dev_id":"soil-07","port":3,"payload_fields":{"t":1.5,"list":[1,{"deep":null}],"on":true},'
    '"metadata":{"gateways":[{"gtw_id":"é","rssi":-117}]},"empty":{}}'
)
msg = json2obj(TEXT)
flat = json2obj('{"dev_id":"soil-07","t":21.5,"on":null}')


class Strict(json.JSONEncoder):
    """An encoder that a program has for its own types, without asking the class above."""

    def default(self, o):
        return "own"


def refuse(o):
    raise AssertionError("a named tuple never comes here")


def file_of(write):
    text = io.StringIO()
    write(text)
    return text.getvalue()


def insert(values):
    with sqlite3.connect(":memory:") as base:
        base.execute("CREATE TABLE uplinks (dev_id, t, flag)")
        base.execute("INSERT INTO uplinks VALUES (?, ?, ?)", values)
        base.executemany("INSERT INTO uplinks VALUES (?, ?, ?)", [values, values])
        return base.execute("SELECT * FROM uplinks").fetchall()


WAYS = {
    "dumps": lambda: json.dumps(msg),
    "dumps deep": lambda: json.dumps({"at": "now", "messages": [msg, msg.payload_fields]}),
    "dumps _asdict": lambda: json.dumps(msg._asdict()),
    "dumps options": lambda: json.dumps([msg], indent=2, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
    "dumps default": lambda: json.dumps(msg, default=refuse),
    "dumps default of others": lambda: json.dumps([msg, {1, 2}], default=list),
    "dumps cls": lambda: json.dumps([msg, object()], cls=Strict),
    "dumps key": lambda: json.dumps({flat: 1}),
    "dumps key skipped": lambda: json.dumps({flat: 1}, skipkeys=True),
    "dumps other": lambda: json.dumps([msg, object]),
    "dump": lambda: file_of(lambda text: json.dump({"m": msg}, text)),
    "dump indent": lambda: file_of(lambda text: json.dump(msg, text, indent=1)),
    "encode": lambda: json.JSONEncoder(sort_keys=True).encode(msg.metadata),
    "iterencode": lambda: "".join(json.JSONEncoder().iterencode({"m": msg})),
    "csv": lambda: file_of(lambda text: csv.writer(text).writerow(msg)),
    "csv rows": lambda: file_of(lambda text: csv.writer(text).writerows([msg, flat])),
    "csv dict": lambda: file_of(lambda text: csv.DictWriter(text, flat._fields).writerow(flat._asdict())),
    "sqlite": lambda: insert(flat),
    "tuple": lambda: tuple(flat),
    "list": lambda: list(msg.payload_fields),
    "star": lambda: [*flat],
    "zip": lambda: dict(zip(flat._fields, flat)),
    "reversed": lambda: list(reversed(flat)),
    "enumerate": lambda: list(enumerate(flat)),
    "unpacked": lambda: (lambda dev_id, *rest: (dev_id, rest))(*flat),
    "format": lambda: "{0} {1} {2}".format(*flat),
    "format attributes": lambda: "{0.dev_id}: {0.payload_fields.t}".format(msg),
    "str": lambda: str(msg),
    "f-string": lambda: f"{msg} {msg!r:.10}",
    "percent of one": lambda: "%s" % (msg,),
    "itemgetter": lambda: operator.itemgetter(0, 2)(flat),
    "slices": lambda: (flat[1:], flat[-1], flat[::2]),
    "sequence": lambda: (isinstance(msg, Sequence), isinstance(msg, Iterable), callable(msg)),
    "length": lambda: (len(msg), operator.length_hint(msg), bool(json2obj("{}"))),
    "_fields": lambda: msg._fields,
    "_asdict": lambda: flat._asdict(),
    "copy": lambda: (str(copy.copy(msg)), str(copy.deepcopy(msg))),
    "sorted": lambda: sorted([json2obj('{"a":2}'), json2obj('{"a":1}')]),
    "equal": lambda: (flat == ("soil-07", 21.5, None), flat != tuple(flat), flat + (1,)),
    "in": lambda: (21.5 in flat, flat.index(21.5), flat.count(None)),
}

if sys.version_info >= (3, 10):
    exec(
        """
def matched():
    match flat:
        case [dev_id, t, None]:
            return dev_id, t
WAYS["match"] = matched
"""
    )

for name, way in WAYS.items():
    try:
        print(name, "->", repr(way()))
    except Exception as error:
        print(name, "->", type(error).__name__)
