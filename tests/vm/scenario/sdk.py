"""The official Python SDK on a workstation: starts its arguments as a server and works with what answers."""

import sys

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters


def holds(promise, met, seen=None):
    print(("ok   " if met else "FAIL ") + promise, flush=True)
    if not met:
        sys.exit(f"     seen: {seen!r}")


async def main(command, *arguments):
    way = "the tunnelled socket" if "--socket" in arguments else "ssh node provost bridge"
    async with Client(StdioServerParameters(command=command, args=list(arguments))) as client:
        tools = await client.list_tools()
        holds(f"{way}: the SDK lists the tools", len(tools.tools) == 10, tools)
        status = (await client.call_tool("status", {})).structured_content
        holds("the workstation's user is who the node says", (status["principal"]["user"], status["role"]) == ("alice", "operator"), status)
        read = (await client.call_tool("read", {"path": "/nodes/pve1/lxc", "limit": 3})).structured_content
        holds("and reads the cluster", read["total"] > 0, read)
        plan = await client.call_tool("plan", {"method": "DELETE", "path": "/nodes/pve1/lxc/101"})
        holds("what the role does not have is refused", plan.is_error, plan)
        notes = {"description": f"by {way}"}
        plan = (await client.call_tool("plan", {"method": "PUT", "path": "/nodes/pve1/lxc/101/config", "args": notes})).structured_content
        applied = (await client.call_tool("apply", {"plan_id": plan["plan_id"]})).structured_content
        holds("a change that it has is planned and made", applied["result"] == "done", (plan, applied))


anyio.run(main, *sys.argv[1:])
