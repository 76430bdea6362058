"""A web service over an application's devices and their uplinks, with FastAPI.

THINGSLINK_APP_ID=my-app THINGSLINK_ACCESS_KEY=… uvicorn examples.web:app
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from thingslink import ApplicationError, StatusCode, aio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keep one client of each kind for all requests."""
    arguments = os.environ["THINGSLINK_APP_ID"], os.environ["THINGSLINK_ACCESS_KEY"]
    where = os.environ.get("THINGSLINK_HANDLER", ""), os.environ.get("THINGSLINK_CA_CERTS", "")
    mqtt = aio.MQTTClient(*arguments, os.environ.get("THINGSLINK_MQTT", ""))
    async with aio.ApplicationClient(*arguments, *where) as application, mqtt:
        app.state.application, app.state.mqtt = application, mqtt
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/devices")
async def devices() -> list[str]:
    """List the devices."""
    return [device.dev_id async for device in app.state.application.devices()]


@app.get("/devices/{dev_id}")
async def device(dev_id: str) -> dict[str, Any]:
    """Show a device."""
    try:
        found = await app.state.application.device(dev_id)
    except ApplicationError as error:
        status = 404 if error.code is StatusCode.NOT_FOUND else 502
        raise HTTPException(status, error.details) from error
    return {"dev_id": found.dev_id, "description": found.description}


@app.websocket("/uplinks")
async def uplinks(websocket: WebSocket) -> None:
    """Send each uplink from now on; every browser gets all of them."""
    stream = app.state.mqtt.uplinks()
    await websocket.accept()
    async with stream:
        with suppress(WebSocketDisconnect):
            async for msg in stream:
                await websocket.send_json({"dev_id": msg.dev_id, "counter": msg.counter, "payload": msg.payload.hex()})
