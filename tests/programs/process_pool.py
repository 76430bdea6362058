"""Shape: payloads are decoded in a pool of processes, results are printed in order. Ends after three uplinks."""

import base64
import multiprocessing
import queue

import ttn


def decode(dev_id, raw):
    return dev_id, sum(base64.b64decode(raw))


def main():
    results = queue.Queue()
    with multiprocessing.Pool(2) as pool:
        client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
        client.set_uplink_callback(
            lambda msg, client: results.put(pool.apply_async(decode, (msg.dev_id, msg.payload_raw)))
        )
        client.connect()
        for _ in range(3):
            print(*results.get().get(30), flush=True)
        client.close()


if __name__ == "__main__":
    main()
