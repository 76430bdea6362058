"""Messages of The Things Stack V3 against bytes that we did not make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
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
