"""What needs no server: splitting, counting, limits, constants. Cases come on the standard input, answers go out."""

import json
import sys

from tb_device_mqtt import RateLimit, TBDeviceMqttClient, TBFirmwareState, TBPublishInfo, TBSendMethod

cases = json.load(sys.stdin)
answers = {"split": [], "count": [], "limits": []}
for pack, points, size in cases["split"]:
    parts = TBDeviceMqttClient._split_message(pack, points, size)
    answers["split"].append([[part["data"], part["datapoints"]] for part in parts])
for data in cases["count"]:
    answers["count"].append(TBDeviceMqttClient._count_datapoints_in_message(data))
for text in cases["limits"]:
    limit = RateLimit(text)
    answers["limits"].append(
        [limit.has_limit(), limit.get_minimal_limit(), limit.get_minimal_timeout(), bool(limit.check_limit_reached(7))]
    )
answers["constants"] = {name: getattr(TBPublishInfo, name) for name in dir(TBPublishInfo) if name.startswith("TB_ERR_")}
answers["enums"] = [[[one.name, one.value] for one in kind] for kind in (TBFirmwareState, TBSendMethod)]
json.dump(answers, sys.stdout)
