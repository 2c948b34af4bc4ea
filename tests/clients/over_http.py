"""The official Python SDK over HTTP, with a token: what it sees, as one JSON object on a line. Judges nothing: http.rs does.

Takes one argument, a JSON object: `url`, `token`, `mode` (how the SDK negotiates).
"""

import json
import sys

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

TASK = json.loads(sys.argv[1])


async def main():
    headers = {"Authorization": "Bearer " + TASK["token"]}
    async with httpx2.AsyncClient(headers=headers) as http:
        async with Client(streamable_http_client(TASK["url"], http_client=http), mode=TASK["mode"]) as client:
            tools = await client.list_tools()
            status = await client.call_tool("status", {})
            refused = await client.call_tool("read", {"path": "/access/users"})
            seen = {
                "protocol": client.protocol_version,
                "tools": len(tools.tools),
                "status": status.structured_content,
                "refused": refused.structured_content,
            }
    print(json.dumps({"step": "seen", **seen}), flush=True)


anyio.run(main)
