"""Messages of The Things Stack V3 against bytes that we did not make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from peers import PROTO
from thingslink._native import _parse_proto

if TYPE_CHECKING:
    from peers import Generated

VECTORS = [
    line.split()
    for line in (Path(__file__).parent.parent.parent / "vectors" / "ttn_v3_grpc.txt").read_text().splitlines()
    if not line.startswith("#")
]
IDS = {"device_id": "soil-probe-03", "application_ids": {"application_id": "greenhouse-7"}}
EUIS = {"dev_eui": "cLPVftAF8aI=", "join_eui": "cLPVftACAeQ="}
KEY = {"key": "AAECAwQFBgcICQoLDA0ODw=="}
#: What the vectors say, in the words of protobuf's JSON.
MEANT: list[dict[str, Any]] = [
    {
        "end_device_ids": IDS,
        "downlinks": [
            {
                "f_port": 10,
                "frm_payload": "Ag8=",
                "confirmed": True,
                "priority": "NORMAL",
                "correlation_ids": ["pump-cmd-77"],
            }
        ],
    },
    {
        "end_device": {"ids": {**IDS, **EUIS}, "root_keys": {"app_key": KEY}},
        "field_mask": "rootKeys.appKey.key",
    },
    {
        "end_device": {
            "ids": IDS,
            "lorawan_version": "MAC_V1_0_2",
            "lorawan_phy_version": "PHY_V1_0_2_REV_B",
            "frequency_plan_id": "EU_863_870_TTN",
            "mac_settings": {"resets_f_cnt": {"value": True}},
            "session": {"dev_addr": "JgtcQQ==", "keys": {"f_nwk_s_int_key": KEY}, "last_f_cnt_up": 7},
        },
        "field_mask": "supportsJoin,lorawanVersion,lorawanPhyVersion,frequencyPlanId,session.devAddr,"
        "session.keys.fNwkSIntKey.key,session.lastFCntUp,macSettings.resetsFCnt",
    },
    {
        "end_device_ids": IDS,
        "uplink_message": {
            "f_port": 1,
            "frm_payload": "AQ==",
            "rx_metadata": [{"gateway_ids": {"gateway_id": "test-gateway"}, "rssi": -50, "snr": 4.25}],
            "settings": {
                "data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7, "coding_rate": "4/5"}},
                "frequency": "868100000",
            },
        },
    },
    {
        "application_ids": {"application_id": "greenhouse-7"},
        "link": {
            "default_formatters": {
                "up_formatter": "FORMATTER_JAVASCRIPT",
                "up_formatter_parameter": "function Decoder(b, p) { return {n: b.length}; }",
            }
        },
        "field_mask": "defaultFormatters.upFormatter,defaultFormatters.upFormatterParameter",
    },
]


@pytest.mark.parametrize(("vector", "meant"), list(zip(VECTORS, MEANT, strict=True)))
def test_the_vectors_of_v3_are_read_and_written(vector: list[str], meant: dict[str, Any], generated: Generated) -> None:
    name, body = vector[0], bytes.fromhex(vector[1])
    ours = _parse_proto(name, body)
    theirs = json_format.ParseDict(meant, generated.message(name)())
    assert ours.SerializeToString() == body == theirs.SerializeToString(deterministic=True)
    # Whole floats are written as protobuf 3 did; its newer ones leave out the fraction.
    assert str(ours).replace(".0\n", "\n") == str(theirs)


def test_no_message_is_there_that_no_call_needs(generated: Generated) -> None:
    pool = generated.message("google.rpc.Status").DESCRIPTOR.file.pool
    files = [pool.FindFileByName(f"v3/{path.name}") for path in sorted((PROTO / "v3").glob("*.proto"))]
    # What details of failures hold.
    needed = {"ttn.lorawan.v3.ErrorDetails"}
    services = [service for file in files for service in file.services_by_name.values()]
    methods = [method for service in services for method in service.methods_by_name.values()]
    waiting = [it for method in methods for it in (method.input_type, method.output_type)]
    while waiting:
        message = waiting.pop()
        if message.full_name not in needed:
            needed.add(message.full_name)
            waiting += [field.message_type for field in message.fields if field.message_type is not None]
    there = {message.full_name for file in files for message in file.message_types_by_name.values()}
    assert len(methods) > 40 and there - needed == set()
