"""A ChirpStack sandbox with the tenant, applications and devices of the captures (tests/vectors/chirpstack).

The captures' UUIDs are the server's own; the sandbox makes others. Both ways they are put in each other's place.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message_factory import GetMessageClass
from harness import PATIENCE

if TYPE_CHECKING:
    from peers import Generated
    from thingslink.sandbox import Sandbox

VECTORS = Path(__file__).parent.parent / "vectors" / "chirpstack"
#: The application of most devices of the captures.
APPLICATION = "c49fa6c7-3dc9-4053-b67b-3417d0872f0b"
PROBE = "70b3d57ed005f1a2"
#: What clients here do not call, and so is not defined.
UNDEFINED = {
    "InternalService/Profile",
    "InternalService/ListRegions",
    "InternalService/Settings",
    "InternalService/GlobalSearch",
    "ApplicationService/ListDeviceTags",
    "DeviceService/GetMetrics",
}

Record: TypeAlias = dict[str, Any]


def records(name: str) -> list[Record]:
    # There are other ends of lines within the texts.
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().split("\n") if line]


class Api:
    """The API, called by gRPC's own library."""

    def __init__(self, sandbox: Sandbox, generated: Generated) -> None:
        del generated  # it has to be there: its folder is where Python looks
        for name in ("device", "application", "device_profile", "gateway", "tenant", "internal", "integration"):
            importlib.import_module(f"chirpstack.{name}_pb2")
        self.sandbox = sandbox
        self.channel = grpc.insecure_channel(sandbox.management_address)
        self.user: str = self.call("InternalService/Login", {"email": "admin", "password": "admin"})["jwt"]
        self.token = self.user

    def close(self) -> None:
        self.channel.close()

    def start(self, method: str, request: Record, authorization: str | None) -> Any:
        service, name = method.split("/")
        found = descriptor_pool.Default().FindServiceByName(f"api.{service}").FindMethodByName(name)
        message = json_format.ParseDict(request, GetMessageClass(found.input_type)(), ignore_unknown_fields=True)
        kind = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        call: Any = kind(
            f"/api.{method}",
            request_serializer=lambda it: it.SerializeToString(),
            response_deserializer=GetMessageClass(found.output_type).FromString,
        )
        metadata = [] if authorization is None else [("authorization", authorization)]
        return call(message, timeout=PATIENCE, metadata=metadata)

    def call(self, method: str, request: Record, *, token: str | None = None) -> Record:
        """Call a method; gives the answer as the captures have it."""
        token = token or getattr(self, "token", "")
        return as_dict(self.start(method, request, f"Bearer {token}"))


def as_dict(message: Any) -> Record:
    read: Record = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return read


class World:
    """The sandbox, the API, and which UUID of the captures is which of the sandbox."""

    def __init__(self, sandbox: Sandbox, generated: Generated) -> None:
        self.sandbox = sandbox
        self.api = Api(sandbox, generated)
        self.ours: dict[str, str] = {}
        for record in records("40-management-grpc"):
            self.replay(record)

    def replay(self, record: Record, authorization: str | None = "") -> None:
        """Call what the captures called; the answer must be theirs."""
        method = record["method"].removeprefix("api.")
        if method in UNDEFINED:
            return
        request = json.loads(self.to_ours(json.dumps(record["request"])))
        if authorization == "":
            authorization = f"Bearer {self.api.token}"
        try:
            answer, code, details = as_dict(self.api.start(method, request, authorization)), 0, None
        except grpc.RpcError as error:
            answer, code, details = None, error.code().value[0], error.details()
        told = (code, alike_details(details))
        assert told == (record["code"], alike_details(record.get("details"))), (record["note"], details)
        if answer is not None:
            self.learn(record["response"], answer)
            expected = json.loads(self.to_ours(json.dumps(known(method, record["response"]))))
            made = set(self.ours.values())
            assert alike(answer, made) == alike(expected, made), record["note"]

    def learn(self, theirs: Record, ours: Record) -> None:
        """Note what was made anew."""
        for name in ("id", "token", "jwt"):
            if name in theirs:
                self.ours.setdefault(theirs[name], ours[name])

    def to_ours(self, text: str) -> str:
        for theirs, ours in self.ours.items():
            text = text.replace(theirs, ours)
        return text

    def to_theirs(self, text: str) -> str:
        for theirs, ours in self.ours.items():
            text = text.replace(ours, theirs)
        return text

    def device(self, dev_eui: str = PROBE) -> Any:
        application = next(it for it in self.applications() if dev_eui in it[1])
        return self.sandbox.device(dev_eui, application[0])

    def applications(self) -> list[tuple[str, set[str]]]:
        """Give the IDs of applications with the DevEUIs of their devices."""
        found = []
        for theirs in (APPLICATION, "b6eec3ed-2386-4b73-8a63-643b92850a13"):
            listed = self.api.call("DeviceService/List", {"application_id": self.ours[theirs], "limit": 100})
            found.append((self.ours[theirs], {item["dev_eui"] for item in listed.get("result", [])}))
        return found

    def queue(self, dev_eui: str = PROBE) -> list[Record]:
        items: list[Record] = self.api.call("DeviceService/GetQueue", {"dev_eui": dev_eui}).get("result", [])
        return items

    def close(self) -> None:
        self.api.close()


def known(method: str, response: Record) -> Record:
    """Give what of an answer is defined here."""
    service, name = method.split("/")
    found = descriptor_pool.Default().FindServiceByName(f"api.{service}").FindMethodByName(name)
    message = json_format.ParseDict(response, GetMessageClass(found.output_type)(), ignore_unknown_fields=True)
    return as_dict(message)


def alike(value: Any, made: set[str]) -> Any:
    """Give an answer without what differs from one moment, and one server, to another; IDs that are known stay."""
    moments = {"created_at", "updated_at", "last_seen_at", "device_status", "jwt", "token", "dev_addr", "f_cnt_down"}
    if isinstance(value, dict):
        is_known = "id" not in value or value["id"] in made
        left_out = moments if is_known else moments | {"id"}
        return {name: alike(part, made) for name, part in value.items() if name not in left_out}
    return [alike(part, made) for part in value] if isinstance(value, list) else value


def alike_details(details: str | None) -> str:
    """Give what is said without places in a script, and words for bad syntax: those are the engine's own."""
    details = re.sub(r"(JS error: Error: )(?:Unexpected token.*|invalid property name)", r"\1bad syntax", details or "")
    return re.sub(r"\n\s+at .*", "", details, flags=re.DOTALL).strip()
