"""The V3 sandbox over HTTP answers as a real stack did: captures of it (tests/vectors/tts_v3) are played.

What is compared: status, headers and the whole body. What is not: times, IDs and keys that a server makes, and fields
that our definitions do not have.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from stack_api import Api, plain
from stack_captures import Record, key, records
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {
    "FULL": ["RIGHT_APPLICATION_ALL"],
    "READ": ["RIGHT_APPLICATION_TRAFFIC_READ"],
    "DOWN": ["RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"],
    "INFO": ["RIGHT_APPLICATION_INFO"],
    "DEVREAD": ["RIGHT_APPLICATION_DEVICES_READ"],
    "TRAFFIC": ["RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"],
}
#: Headers that are the connection's own, or different in each answer.
OWN = {"connection", "content-length", "x-request-id", "date", "transfer-encoding"}


def preparation() -> list[Record]:
    """Give what was set up for the captures, but for gateways, which applications do not see."""
    return [record for record in records("40-management-http") if record["note"] != "create gateway"]


@pytest.fixture
def bare() -> Iterator[Api]:
    """Give a stack that has an administrator, and nothing else."""
    with Sandbox("", network="v3") as sandbox:
        sandbox.add_administrator("admin", key("ADMIN"))
        yield Api(sandbox)


@pytest.fixture
def api(bare: Api) -> Api:
    """Give a stack with the applications of the captures, and keys of each kind."""
    for record in preparation():
        if record["note"] == "create application":
            status, _, answer = bare.ask("POST", record["path"], record["request"], auth=authorization(record))
            assert status == 200, answer
    for name, rights in KEYS.items():
        bare.sandbox.add_application("app1", key(name), rights)
    bare.sandbox.add_application("app2", key("OTHER"))
    bare.sandbox.app_id = "app1"
    return bare


def authorization(record: Record) -> str | None:
    if record["auth"] is None:
        return None
    given = record["auth"].removeprefix("Bearer <").removesuffix(" key>")
    if given == "garbage":
        return "Bearer garbage"
    return f"Bearer {given if given.startswith('NNSXS.') else key(given.upper())}"


def body(record: Record) -> Any:
    request = record["request"]
    if isinstance(request, str):
        return base64.b64decode(request.removeprefix("base64:"))
    return request


def check(api: Api, record: Record) -> None:
    """Play a request, and compare."""
    status, headers, answer = api.ask(record["method"], record["path"], body(record), auth=authorization(record))
    assert (status, plain(answer)) == (record["status"], plain(record["response"])), record["note"]
    check_headers(headers, record)


def check_headers(headers: dict[str, str], record: Record) -> None:
    expected = {name.lower(): value for name, value in record["response_headers"].items()}
    assert {name: value for name, value in headers.items() if name not in OWN} == {
        name: value for name, value in expected.items() if name not in OWN
    }


def test_what_users_set_up_is_answered_as_by_the_stack(bare: Api) -> None:
    keys = {key("ADMIN"): key("ADMIN")}
    played = preparation()
    assert len(played) == 17
    for record in played:
        given = authorization(record)
        auth = None if given is None else f"Bearer {keys[given.removeprefix('Bearer ')]}"
        status, headers, answer = bare.ask(record["method"], record["path"], record["request"], auth=auth)
        expected = record["response"]
        if record["path"].endswith("/api-keys"):
            # The stack makes a key, whose ID is a part of it.
            keys[expected["key"]] = answer["key"]
            assert re.fullmatch(rf"NNSXS\.{answer['id']}\.[A-Z2-7]{{52}}", answer["key"]) and len(answer["id"]) == 39
            answer, expected = ({**it, "id": "", "key": ""} for it in (answer, expected))
        elif record["note"].startswith("auth info"):
            for told in (answer, expected):
                own = told["api_key"]["api_key"]
                assert own.pop("id") and "key" not in own
                if own.get("name") == "local":
                    del own["name"]
        assert (status, plain(answer)) == (record["status"], plain(expected)), record["note"]
        check_headers(headers, record)
    # All of them are good, each for what it may do.
    for made in keys.values():
        assert bare.ask("GET", "auth_info", auth=f"Bearer {made}")[0] == 200


def prepared(api: Api) -> Api:
    """Give the stack as it was when the errors were captured."""
    for record in preparation():
        if record["method"] != "GET" and record["note"] != "create application" and "key:" not in record["note"]:
            status, _, answer = api.ask(record["method"], record["path"], body(record))
            assert status == 200, answer
    api.sandbox.device("otaa2", joined=False)
    return api


@pytest.mark.parametrize("record", [pytest.param(it, id=it["note"]) for it in records("42-errors-http")])
def test_a_refusal_is_answered_as_by_the_stack(api: Api, record: Record) -> None:
    check(prepared(api), record)


#: Answers that are this sandbox's own: their shape is looked at in other tests.
OF_ITS_OWN = {"dev addr", "net id", "MQTT connection info", "AS configuration"}


def others() -> list[Record]:
    """Give the other reads and updates that were made over HTTP."""
    made = [it for it in records("44-lists-and-updates") if it.get("transport") == "http"]
    return [it for it in made if it["note"] not in OF_ITS_OWN]


#: How far the counters were, when they were read.
COUNTERS = {
    "NS get": ("ns", {"last_f_cnt_up": 1, "last_n_f_cnt_down": 1}),
    "AS get": ("as", {"last_a_f_cnt_down": 46}),
}


def test_masks_name_what_is_read_and_written_as_by_the_stack(api: Api) -> None:
    prepared(api)
    played = others()
    assert len(played) == 21
    for record in played:
        if record["note"] in COUNTERS:
            server, counters = COUNTERS[record["note"]]
            mask = {"paths": [f"session.{name}" for name in counters]}
            request = {"end_device": {"session": counters}, "field_mask": mask}
            assert api.ask("PUT", f"{server}/applications/app1/devices/abp1", request)[0] == 200
        check(api, record)


def test_what_a_stack_says_of_itself(api: Api) -> None:
    told = api.get("as/applications/app1/mqtt-connection-info")
    assert told == {"public_address": api.sandbox.mqtt_address, "username": "app1"}
    assert api.get("ns/net_id") == {"net_id": "000013"}
    # Of that network: its first seven bits are those of 13.
    assert int(api.get("ns/dev_addr")["dev_addr"], 16) >> 25 == 0x13
    with Sandbox("app1", key("FULL"), network="v3", tenant="ttn", mqtts_port=0) as sandbox:
        told = Api(sandbox).get("as/applications/app1/mqtt-connection-info")
        tls = (sandbox.mqtts_address or "").removeprefix("mqtts://")
        assert (told["public_tls_address"], told["username"]) == (tls, "app1@ttn")


def test_pub_sub_and_webhooks_are_told_not_to_be_there(api: Api) -> None:
    (record,) = [it for it in records("44-lists-and-updates") if it["note"] == "AS configuration"]
    status, headers, answer = api.ask("GET", record["path"], auth=authorization(record))
    assert status == record["status"]
    check_headers(headers, record)
    # Zero is ENABLED, which a real stack leaves out.
    expected = record["response"]
    assert expected["configuration"]["pubsub"] == {"providers": {}}
    expected["configuration"]["pubsub"]["providers"] = {"mqtt": "DISABLED", "nats": "DISABLED"}
    assert answer == expected


def test_frequency_plans_are_asked_for_by_frequency_band_and_use(api: Api) -> None:
    def plans(query: str) -> list[str]:
        return [it["id"] for it in api.get(f"configuration/frequency-plans{query}").get("frequency_plans", [])]

    assert plans("?base_frequency=433") == ["EU_433"]
    assert plans("?band_id=CN_470_510") == ["CN_470_510_FSB_1", "CN_470_510_FSB_11"]
    assert plans("?base_frequency=868&band_id=US_902_928") == []
    assert {"EU_863_870_TTN", "US_902_928_FSB_2", "AU_915_928_FSB_2"} < set(plans(""))
    assert set(plans("")) - set(plans("?gateways_only=true")) == {
        "EU_863_870_TTN",
        "EU_863_870_ROAMING_DRAFT",
        "AS_923_925_TTN_AU",
    }
    assert api.ask("GET", "configuration/frequency-plans", auth="Bearer garbage")[0] == 400
    assert api.ask("GET", "configuration/frequency-plans?base_frequency=all")[0] == 400


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("NOPE/PHY_V1_0_2_REV_B", 404, "not_found"),
        # There is such a plan, but its numbers are not known here.
        ("US_902_928_FSB_2/PHY_V1_0_2_REV_B", 404, "not_found"),
        ("EU_863_870/PHY_UNKNOWN", 400, "no_band_version"),
        ("EU_863_870/99", 400, "validation"),
    ],
)
def test_mac_settings_are_not_made_up(api: Api, path: str, status: int, name: str) -> None:
    got, _, answer = api.ask("GET", f"ns/default_mac_settings/{path}")
    assert (got, answer["details"][0]["name"]) == (status, name)


def test_mac_settings_of_a_version_that_nobody_knows_are_refused_before_the_call(api: Api) -> None:
    status, _, answer = api.ask("GET", "ns/default_mac_settings/EU_863_870/PHY_V9")
    assert (status, answer["code"]) == (400, 3) and "PHY_V9" in answer["message"]


def test_each_answer_tells_of_the_limit(api: Api) -> None:
    prepared(api)
    api.sandbox.limit("grpc:method", 12, burst=3)
    (record, *_) = [it for it in records("52-rate-limits") if it["note"] == "the same method by HTTP, call 1"]
    allowed = [api.ask("GET", record["path"])[:2] for _ in range(3)]
    assert [(status, headers["x-rate-limit-available"]) for status, headers in allowed] == [
        (200, "2"),
        (200, "1"),
        (200, "0"),
    ]
    status, headers, answer = api.ask("GET", record["path"])
    assert (status, plain(answer)) == (record["status"], plain(record["response"]))
    assert headers["x-rate-limit-limit"] == "3" and 0 < int(headers["x-rate-limit-reset"]) <= 15


def test_lists_come_in_pages_that_tell_how_many_there_are(api: Api) -> None:
    for number in range(5):
        api.sandbox.device(f"sim-{number}")
    path = "applications/app1/devices?order=device_id&limit=2&field_mask=attributes,name&page="
    seen: list[str] = []
    for page in (1, 2, 3):
        status, headers, answer = api.ask("GET", f"{path}{page}")
        assert (status, headers["x-total-count"]) == (200, "5")
        seen += [device["ids"]["device_id"] for device in answer["end_devices"]]
    assert seen == [f"sim-{number}" for number in range(5)]
    _, _, answer = api.ask("POST", "applications/app1/devices/filter", {"order": "-device_id", "limit": 1})
    assert answer["end_devices"][0]["ids"]["device_id"] == "sim-4"


def base64_of(digits: str) -> str:
    return quote(base64.b64encode(bytes.fromhex(digits)).decode(), safe="")


def test_a_device_lives_by_http_alone(api: Api) -> None:
    eui, join_eui = "70B3D57ED00000C1", "70B3D57ED00000A1"
    ids = {"device_id": "mine", "dev_eui": eui, "join_eui": join_eui}
    status, _, answer = api.ask("POST", "applications/app1/devices", {"end_device": {"ids": ids, "name": "Mine"}})
    assert status == 200 and answer["ids"]["dev_eui"] == eui
    root = {"app_key": {"key": "00112233445566778899AABBCCDDEEFF"}}
    parts: list[tuple[str, dict[str, Any], list[str]]] = [
        ("js", {"root_keys": root}, ["root_keys.app_key.key"]),
        ("ns", {"lorawan_version": "1.0.3", "mac_settings": {"rx1_delay": 5}}, ["lorawan_version", "mac_settings"]),
        ("as", {}, []),
    ]
    for server, part, mask in parts:
        request = {"end_device": {"ids": ids, **part}, "field_mask": {"paths": mask}}
        status, _, answer = api.ask("PUT", f"{server}/applications/app1/devices/mine", request)
        assert status == 200, answer
    got = api.get("ns/applications/app1/devices/mine?field_mask=lorawan_version,mac_settings.rx1_delay")
    assert (got["lorawan_version"], got["mac_settings"]) == ("MAC_V1_0_3", {"rx1_delay": 5})
    got = api.get("js/applications/app1/devices/mine?field_mask=root_keys")
    assert got["root_keys"] == root
    device = api.sandbox.device("mine")
    device.join()
    down = "as/applications/app1/devices/mine/down"
    assert (
        api.ask("POST", f"{down}/push", {"downlinks": [{"f_port": 7, "frm_payload": "AQI=", "priority": "HIGH"}]})[0]
        == 200
    )
    (waiting,) = api.get(down)["downlinks"]
    assert (waiting["f_port"], waiting["frm_payload"], waiting["priority"]) == (7, "AQI=", "HIGH")
    assert api.ask("POST", f"{down}/replace", {"downlinks": []})[::2] == (200, {})
    assert api.get(down) == {}
    # In an address bytes are base64 alone.
    path = f"applications/app1/devices/mine?dev_eui={base64_of(eui)}&join_eui={base64_of(join_eui)}"
    for server in ("as/", "ns/", "js/", ""):
        assert api.ask("DELETE", server + path)[::2] == (200, {})
    assert "mine" not in api.sandbox.devices()


def test_formatters_are_tried_over_http(api: Api) -> None:
    api.sandbox.device("node-1")
    script = "function decodeUplink(input) { return {data: {sum: input.bytes[0] + input.fPort}, warnings: ['w']}; }"
    request = {"uplink": {"f_port": 2, "frm_payload": "BQ=="}, "formatter": "JAVASCRIPT", "parameter": script}
    status, _, answer = api.ask("POST", "as/applications/app1/devices/node-1/up/decode", request)
    assert (status, answer["uplink"]["decoded_payload"]) == (200, {"sum": 7})
    script = "function encodeDownlink(input) { return {bytes: [input.data.level], fPort: 9}; }"
    request = {"downlink": {"decoded_payload": {"level": 3}}, "formatter": "FORMATTER_JAVASCRIPT", "parameter": script}
    status, _, answer = api.ask("POST", "as/applications/app1/devices/node-1/down/encode", request)
    assert (status, answer["downlink"]["frm_payload"], answer["downlink"]["f_port"]) == (200, "Aw==", 9)
    status, _, answer = api.ask("GET", "ns/dev_addr")
    assert status == 200 and len(bytes.fromhex(answer["dev_addr"])) == 4


@pytest.mark.parametrize(
    "record", [it for it in records("50-limits") if it["note"].startswith("HTTP downlink request")]
)
def test_a_request_may_be_so_long_and_no_longer(api: Api, record: Record) -> None:
    prepared(api)
    request = b'{"downlinks":[{"f_port":10,"frm_payload":"Ag8="}],"x":"'
    request += b"x" * (record["bytes"] - len(request) - 2) + b'"}'
    status, _, answer = api.ask("POST", "as/applications/app1/devices/abp1/down/push", request)
    assert (status, answer) == (record["status"], json.loads(record["response"]))
    assert api.sandbox.device("abp1").downlinks == ([b"\x02\x0f"] if status == 200 else [])


def test_a_queue_that_is_full_is_told(api: Api) -> None:
    prepared(api)
    of = {it["note"]: it for it in records("50-limits")}
    for note, count in (("push of 500 at once", 500), ("push of 10000 more", 10_000)):
        request = {"downlinks": [{"f_port": 1, "frm_payload": "AQ=="}] * count}
        status, _, answer = api.ask("POST", "as/applications/app1/devices/abp1/down/push", request)
        assert (status, plain(answer)) == (of[note]["status"], plain(of[note]["response"]))
    waiting = api.get("as/applications/app1/devices/abp1/down")["downlinks"]
    assert len(waiting) == of["queue length"]["n"]


#: What was sent, which stands in the notes alone.
PUSHED: dict[str, Any] = {
    "HTTP push: f_port only": {"f_port": 10},
    "HTTP push: empty frm_payload": {"f_port": 10, "frm_payload": ""},
    "HTTP push: decoded_payload and frm_payload": {
        "f_port": 10,
        "frm_payload": "AQ==",
        "decoded_payload": {"level": 7},
    },
}


@pytest.mark.parametrize("note", PUSHED)
def test_what_a_downlink_needs_is_told_as_by_the_stack(api: Api, note: str) -> None:
    prepared(api)
    (record,) = [it for it in records("31-downlink-more") if it["note"] == note]
    path = "as/applications/app1/devices/abp1/down"
    status, _, answer = api.ask("POST", f"{path}/push", {"downlinks": [PUSHED[note]]})
    expected, text = record["answer"]
    assert (status, plain(answer)) == (expected, plain(json.loads(text) if isinstance(text, str) else text))
    got, (_, meant) = api.get(path), record["queue"]
    for queue in (got, meant):
        for waiting in queue.get("downlinks", []):
            # Which are the server's own.
            assert waiting.pop("f_cnt") and len(waiting.pop("correlation_ids")) == 2
    assert got == meant


@pytest.mark.parametrize("record", [it for it in records("50-limits") if it["note"].startswith("simulated uplink")])
def test_an_uplink_that_is_made_up_may_be_of_any_length(api: Api, record: Record) -> None:
    prepared(api)
    settings = {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7, "coding_rate": "4/5"}}}
    payload = bytes(record["n"])
    uplink = {"f_port": 1, "frm_payload": base64.b64encode(payload).decode()}
    request = {"uplink_message": {**uplink, "settings": {**settings, "frequency": "868100000"}}}
    status, _, answer = api.ask("POST", "as/applications/app1/devices/abp1/up/simulate", request)
    assert (status, answer) == (record["status"], {})
    told = [it["payload"].decode() for it in api.sandbox.journal if it["kind"] == "published"][-1]
    assert base64.b64decode(json.loads(told)["uplink_message"]["frm_payload"]) == payload
    # Of what takes more memory than a formatter may have, nothing is decoded here.
    decoded = f'"decoded_payload":{{"hex":{record["n"]}, "level":0, "port":1}},'
    assert (decoded in told) == (record["n"] < 10_000)
    # Zeros at the end of a time are left out.
    told = re.sub(r'"received_at":"[^"]+"', f'"received_at":"{"0" * len("2026-11-25T23:07:16.123456789Z")}"', told)
    assert len(told if decoded in told else told + decoded) == record["received"]


def test_plain_text_is_served_on_request() -> None:
    with Sandbox(network="v3", insecure=True) as sandbox:
        assert sandbox.http_address.startswith("http://127.0.0.1:")
        status, _, answer = Api(sandbox).ask("GET", "applications/demo-app", auth=f"Bearer {sandbox.access_key}")
        assert (status, answer["ids"]) == (200, {"application_id": "demo-app"})


def test_a_connection_is_used_again_and_bodies_that_are_no_objects_are_refused(api: Api) -> None:
    connection = api.connect()
    for sent in (b"[]", b'"x"', b"\xff", b"{", b"1 2"):
        connection.request(
            "POST", "/api/v3/applications/app1/devices", sent, {"Authorization": f"Bearer {key('FULL')}"}
        )
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert (response.status, answer["code"]) == (400, 3), sent
    connection.close()


def test_v2_has_no_http_address() -> None:
    with Sandbox() as sandbox, pytest.raises(AttributeError, match="http_address"):
        _ = sandbox.http_address
    with pytest.raises(ValueError, match="http_port 1 does not go together"):
        Sandbox(http_port=1)


def test_a_key_is_never_in_an_answer(api: Api) -> None:
    secret = key("FULL")
    for auth in (f"Bearer {secret}", f"Basic {secret}", secret, f"Bearer {secret}X"):
        for path in ("applications/nosuchapp", "nope", f"applications/{secret}"):
            _, headers, answer = api.ask("GET", path, auth=auth, whole=True)
            told = str(headers) + answer.decode()
            assert secret.rsplit(".", 1)[1] not in told or secret in path
