"""A Things Stack V3 on gRPC's own server: our definitions compiled, refusals as a running stack has written them."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from peers import PeerServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from certificates import Identity
    from peers import Generated

VECTORS = Path(__file__).parent.parent / "vectors" / "tts_v3"
PACKAGE = "ttn.lorawan.v3"
APP = "app1"
#: Keys as in the captures.
FULL = "NNSXS.FAKEKEYIDFULLXXXXXXXXXXXXXXXXXXXXXXXXXX.FAKESECRETFULLXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"


def captured(*files: str) -> Iterator[dict[str, Any]]:
    """Give the calls by gRPC of these captures."""
    for file in files:
        for line in (VECTORS / file).read_text().splitlines():
            call = json.loads(line)
            if call.get("transport") == "grpc":
                yield call


#: What the stack refused, by what was tried.
REFUSED = {
    call["note"]: call for call in captured("43-errors-grpc.jsonl", "52-rate-limits.jsonl") if call["code"] != "OK"
}


#: What the four registries of devices take.
DEVICE_REQUESTS = {
    "Create": "CreateEndDeviceRequest",
    "Get": "GetEndDeviceRequest",
    "List": "ListEndDevicesRequest",
    "Update": "UpdateEndDeviceRequest",
    "Set": "SetEndDeviceRequest",
    "Delete": "EndDeviceIdentifiers",
}


class Refusal(Exception):  # noqa: N818 — what a server does, and no error of ours
    """A call is refused as in the capture of that note."""

    def __init__(self, note: str, code: str | None = None, **details: Any) -> None:
        call = REFUSED[note]
        super().__init__(note)
        self.code = grpc.StatusCode[code or call["code"]]
        self.message = call["message"]
        self.details = {**call["details"], "details": [{**call["details"]["details"][0], **details}]}
        self.initial = call["initial"]


class StackPeer(PeerServer):
    """Keeps devices, the application's link and queues; everything else is refused as a stack refuses it."""

    def __init__(self, generated: Generated, identity: Identity | None = None) -> None:
        self.message: Callable[[str], Any] = lambda name: generated.message(f"{PACKAGE}.{name}")
        self._status = generated.message("google.rpc.Status")
        self.registries: dict[str, dict[str, Any]] = {"Is": {}, "Ns": {}, "As": {}, "Js": {}}
        self.link: Any = None
        self.queues: dict[str, list[Any]] = {}
        self.simulated: list[Any] = []
        self.application_deleted = False
        #: Refusals to come, by the call: each is used once, unless it is the last one and kept.
        self.refusals: dict[str, list[Refusal]] = {}
        self.requests: list[tuple[str, Any]] = []
        self.keys: list[str | None] = []
        self.state = threading.RLock()
        self.other: dict[str, tuple[str, Callable[[Any], Any]]] = {
            "ApplicationRegistry/Get": ("GetApplicationRequest", self._application),
            "ApplicationRegistry/Delete": ("ApplicationIdentifiers", self._end),
            "ApplicationAccess/ListRights": ("ApplicationIdentifiers", self._rights),
            "As/GetLink": ("GetApplicationLinkRequest", self._link),
            "As/SetLink": ("SetApplicationLinkRequest", self._set_link),
            "As/DeleteLink": ("ApplicationIdentifiers", self._delete_link),
            "AppAs/DownlinkQueueList": ("EndDeviceIdentifiers", self._list),
            "AppAs/DownlinkQueuePush": ("DownlinkQueueRequest", self._push),
            "AppAs/DownlinkQueueReplace": ("DownlinkQueueRequest", self._replace),
            "AppAs/SimulateUplink": ("ApplicationUp", self._simulate),
            "AppAs/DecodeUplink": ("DecodeUplinkRequest", self._decode),
            "AppAs/EncodeDownlink": ("EncodeDownlinkRequest", self._encode),
            "Ns/GenerateDevAddr": ("", self._dev_addr),
        }
        super().__init__(identity)

    def refuse(self, call: str, *refusals: Refusal) -> None:
        self.refusals[call] = list(refusals)

    def names(self) -> list[str]:
        """Give the calls so far, and forget them."""
        with self.state:
            names = [name for name, _ in self.requests]
            self.requests.clear()
        return names

    def told(self, call: str) -> Any:
        """Give the last request of that call."""
        with self.state:
            return [request for name, request in self.requests if name == call][-1]

    def devices(self) -> dict[str, list[str]]:
        """Give what each server has."""
        with self.state:
            return {name: sorted(registry) for name, registry in self.registries.items()}

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        service, _, method = path.removeprefix(f"/{PACKAGE}.").partition("/")
        call = f"{service}/{method}"
        metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        try:
            with self.state:
                self.keys.append(metadata.get("authorization"))
                return bytes(self._act(service, call, request, context).SerializeToString())
        except Refusal as refusal:
            self._refuse(refusal, context)
        raise AssertionError(call)

    def _refuse(self, refusal: Refusal, context: grpc.ServicerContext) -> None:
        details = dict(refusal.details["details"][0])
        details.pop("@type")
        status = self._status(code=refusal.code.value[0], message=refusal.message)
        error = json_format.ParseDict(details, self.message("ErrorDetails")())
        status.details.add().Pack(error)
        context.send_initial_metadata(tuple(refusal.initial.items()))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(refusal.code, refusal.message)

    def _act(self, service: str, call: str, request: bytes, context: grpc.ServicerContext) -> Any:
        method = call.partition("/")[2]
        is_device = service.endswith("EndDeviceRegistry")
        if is_device:
            of, act = DEVICE_REQUESTS[method], None
        else:
            of, act = self.other[call]
        message = self.message(of).FromString(request) if of else Empty()
        self.requests.append((call, message))
        waiting = self.refusals.get(call)
        if waiting:
            raise waiting.pop(0)
        if act is not None:
            return act(message)
        return self._device(service.removesuffix("EndDeviceRegistry") or "Is", method, message, context)

    def _device(self, server: str, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        registry = self.registries[server]
        if method == "List":
            size, page = request.limit or 100, max(request.page, 1)
            context.send_initial_metadata((("x-total-count", str(len(registry))),))
            found = [registry[name] for name in sorted(registry)][(page - 1) * size : page * size]
            return self.message("EndDevices")(end_devices=[self._masked(each, request.field_mask) for each in found])
        if method == "Create":
            device = request.end_device
            if device.ids.device_id in registry:
                raise Refusal("device exists")
            registry[device.ids.device_id] = device
            return device
        if method in ("Set", "Update"):
            device = request.end_device
            kept = registry.setdefault(device.ids.device_id, self.message("EndDevice")(ids=device.ids))
            for path in request.field_mask.paths:
                self._assign(kept, device, path.split("."))
            return kept
        ids = request if method == "Delete" else request.end_device_ids
        if ids.device_id not in registry:
            unknown = "delete unknown: {}EndDeviceRegistry/Delete" if method == "Delete" else "unknown device {}"
            raise Refusal(unknown.format("" if method == "Delete" and server == "Is" else server.replace("Is", "IS")))
        if method == "Delete":
            del registry[ids.device_id]
            return Empty()
        return self._masked(registry[ids.device_id], request.field_mask)

    def _masked(self, device: Any, mask: FieldMask) -> Any:
        shown = self.message("EndDevice")(ids=device.ids)
        for path in mask.paths:
            self._assign(shown, device, path.split("."))
        return shown

    def _assign(self, target: Any, source: Any, path: list[str]) -> None:
        name, *rest = path
        field = source.DESCRIPTOR.fields_by_name[name]
        if rest:
            if source.HasField(name):
                self._assign(getattr(target, name), getattr(source, name), rest)
            return
        target.ClearField(name)
        if field.is_repeated or (field.message_type is not None and source.HasField(name)):
            getattr(target, name).MergeFrom(getattr(source, name))
        elif field.message_type is None:
            setattr(target, name, getattr(source, name))

    def _application(self, request: Any) -> Any:
        if request.application_ids.application_id != APP:
            raise Refusal("unknown application with a foreign key")
        return self.message("Application")(ids=request.application_ids, name="Greenhouse")

    def _end(self, _request: Any) -> Any:
        self.application_deleted = True
        return Empty()

    def _rights(self, _request: Any) -> Any:
        return self.message("Rights")(rights=[24, 26, 19])

    def _link(self, _request: Any) -> Any:
        if self.link is None:
            raise Refusal("unknown device As")
        return self.link

    def _set_link(self, request: Any) -> Any:
        self.link = self.link or self.message("ApplicationLink")()
        for path in request.field_mask.paths:
            self._assign(self.link, request.link, path.split("."))
        return self.link

    def _delete_link(self, _request: Any) -> Any:
        self.link = None
        return Empty()

    def _list(self, request: Any) -> Any:
        return self.message("ApplicationDownlinks")(downlinks=self.queues.get(request.device_id, []))

    def _push(self, request: Any) -> Any:
        self.queues.setdefault(request.end_device_ids.device_id, []).extend(request.downlinks)
        return Empty()

    def _replace(self, request: Any) -> Any:
        self.queues[request.end_device_ids.device_id] = list(request.downlinks)
        return Empty()

    def _simulate(self, request: Any) -> Any:
        self.simulated.append(request)
        return Empty()

    def _decode(self, request: Any) -> Any:
        answer = self.message("DecodeUplinkResponse")(uplink=request.uplink)
        answer.uplink.decoded_payload.update({"n": len(request.uplink.frm_payload)})
        return answer

    def _encode(self, request: Any) -> Any:
        answer = self.message("EncodeDownlinkResponse")(downlink=request.downlink)
        answer.downlink.frm_payload = bytes([len(request.downlink.decoded_payload)])
        return answer

    def _dev_addr(self, _request: Any) -> Any:
        return self.message("GenerateDevAddrResponse")(dev_addr=b"\x26\x0b\x00\x01")
