"""V3's uplinks in V2's shape, once more and in Python: the tables of the wire contract (V3 4.1, 4.2)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

Json: TypeAlias = Any

SOURCES = {"SOURCE_GPS": "gps", "SOURCE_REGISTRY": "registry", "SOURCE_IP_GEOLOCATION": "ip_geolocation"}


def in_v2_shape(up: Json) -> Json:
    """Give what V2 would have written, as the tables of the contract have it."""
    ids, own = up.get("end_device_ids", {}), up.get("uplink_message", {})
    v2: Json = {
        "app_id": ids.get("application_ids", {}).get("application_id", ""),
        "dev_id": ids.get("device_id", ""),
        "hardware_serial": ids.get("dev_eui"),
        "port": own.get("f_port", 0),
        "counter": own.get("f_cnt", 0),
        "confirmed": own.get("confirmed"),
        "payload_raw": own.get("frm_payload", "" if own.get("f_port") else None),
        "payload_fields": own.get("decoded_payload") or None,
        "metadata": metadata_of(up, own),
        "attributes": own.get("attributes") or None,
    }
    return {key: value for key, value in v2.items() if value is not None or key == "payload_raw"}


def metadata_of(up: Json, own: Json) -> Json:
    radio = own.get("settings", {})
    rate = radio.get("data_rate", {})
    lora = rate.get("lora", {})
    modulation = {"lora": "LORA", "fsk": "FSK", "lrfhss": "LR_FHSS"}
    airtime = own.get("consumed_airtime")
    hertz = radio.get("frequency")
    bandwidth = Decimal(lora.get("bandwidth", 0)) / 1000
    locations = own.get("locations", {})
    places = [locations.get("user"), locations.get("frm-payload"), *(locations[name] for name in sorted(locations))]
    found: Json = {
        "time": own.get("received_at", up.get("received_at", "")),
        # Whole ones without a fraction, as V2 wrote them.
        "frequency": hertz and (int(hertz) // 1_000_000 if hertz.endswith("000000") else int(hertz) / 1_000_000),
        "modulation": next((modulation[name] for name in modulation if name in rate), None),
        "data_rate": f"SF{lora['spreading_factor']}BW{bandwidth:f}"
        if len(lora.keys() - {"coding_rate"}) == 2
        else None,
        "bit_rate": rate.get("fsk", {}).get("bit_rate"),
        "airtime": airtime and int(Decimal(airtime[:-1]) * 1_000_000_000),
        "coding_rate": next(
            (it["coding_rate"] for it in (lora, rate.get("lrfhss", {}), radio) if "coding_rate" in it), None
        ),
        "gateways": [gateway_of(antenna) for antenna in own.get("rx_metadata", [])] or None,
        **location_of(next(filter(None, places), None)),
    }
    return {key: value for key, value in found.items() if value is not None}


def gateway_of(antenna: Json) -> Json:
    ids, broker = antenna.get("gateway_ids", {}), antenna.get("packet_broker", {})
    name = ids.get("gateway_id", "packetbroker")
    eui = ids.get("eui", broker.get("forwarder_gateway_eui"))
    other = broker.get("forwarder_gateway_id", eui and f"eui-{eui.lower()}") or ids.get("gateway_id")
    fine = antenna.get("fine_timestamp")
    found: Json = {
        "gtw_id": other if name == "packetbroker" else name,
        "eui": eui,
        "timestamp": antenna.get("timestamp", 0),
        "fine_timestamp": fine and int(fine),
        "fine_timestamp_encrypted": antenna.get("encrypted_fine_timestamp"),
        "time": antenna.get("time", ""),
        "antenna": antenna.get("antenna_index"),
        "channel": antenna.get("channel_index", 0),
        "rssi": antenna.get("rssi", antenna.get("channel_rssi", 0)),
        "snr": antenna.get("snr", 0),
        "rf_chain": 0,
        **location_of(antenna.get("location")),
    }
    return {key: value for key, value in found.items() if value is not None}


def location_of(place: Json) -> Json:
    if not place:
        return {}
    return {
        **{key: place.get(key, 0) for key in ("latitude", "longitude", "altitude")},
        "location_accuracy": place.get("accuracy"),
        "location_source": SOURCES.get(place.get("source", "")),
    }
