"""The official Python SDK as a client of Provost's tools on the API, its resources, prompts and completions.

Takes one argument, a JSON object: `command` (what is started as the server), `mode` (how the SDK negotiates), `tasks`
(whether it says that it knows tasks, and does what they are for and nothing else). Prints a JSON object a line, each
with its `step`; reads a UPID from standard input where the step is "begin". Judges nothing: api.rs does.
"""

import json
import sys
from typing import Literal

import anyio
from mcp import Client
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.stdio import StdioServerParameters
from mcp_types import (
    CallToolResult,
    PromptReference,
    Request,
    RequestParams,
    ResourceTemplateReference,
    Result,
)
from pydantic import Field

TASK = json.loads(sys.argv[1])
GUEST = "provost://guest/{vmid}"


def say(step, **seen):
    print(json.dumps({"step": step, **seen}), flush=True)


def plain(result):
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def begin():
    """The UPID of a task that the test starts now."""
    say("begin")
    return (await anyio.to_thread.run_sync(sys.stdin.readline)).strip()


async def run(client):
    async def call(tool, progress=None, **arguments):
        return plain(await client.call_tool(tool, arguments, progress_callback=progress))

    async def resource(uri):
        return json.loads((await client.read_resource(uri)).contents[0].text)

    async def complete(ref, name, value):
        return (await client.complete(ref, {"name": name, "value": value})).completion.values

    say("connected", protocol=client.protocol_version, capabilities=plain(client.server_capabilities))
    say("tools", tools=[plain(tool) for tool in (await client.list_tools()).tools])
    say("find", result=await call("find", query="grow disk of vm 104"))
    rows = {"where": "type = qemu and vmid > 104", "sort": "-vmid", "fields": ["vmid", "name"], "limit": 2}
    say("list", result=await call("read", path="/cluster/resources", **rows))
    say("blanks", result=await call("read", path="/nodes/{node}/qemu/{vmid}/config", args={"vmid": 104}))
    say("refused", result=await call("read", path="POST /nodes/pve1/qemu/104/status/start"))

    uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
    templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
    guests, guest = await resource("provost://guests"), await resource("provost://guest/104")
    say("resources", uris=uris, templates=templates, guests=guests, guest=guest)
    prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
    prompt = await client.get_prompt("why-slow", {"guest": "104"})
    say("prompts", names=prompts, text=prompt.messages[0].content.text)
    guests = await complete(ResourceTemplateReference(type="ref/resource", uri=GUEST), "vmid", "1")
    kinds = await complete(PromptReference(type="ref/prompt", name="new-guest"), "kind", "v")
    say("completed", guests=guests, kinds=kinds)

    upid = await begin()
    heard = anyio.Event()
    scope = anyio.CancelScope()

    async def hear(_progress, _total, _message):
        heard.set()

    async def until_cancelled():
        with scope:
            await call("read", path=upid, wait=60, progress=hear)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(until_cancelled)
        await heard.wait()
        scope.cancel()
    say("cancelled", by_the_sdk=scope.cancelled_caught, result=await call("read", path=upid))

    notices = []

    async def notice(progress, _total, message):
        notices.append({"progress": progress, "message": message})

    result = await call("read", path=upid, wait=60, progress=notice)
    say("followed", notices=notices, result=result)


class Handle(Result):
    """What comes in place of an answer that takes long."""

    result_type: Literal["task"] = Field(alias="resultType")
    task_id: str = Field(alias="taskId")
    status: str
    poll_interval_ms: int = Field(alias="pollIntervalMs")


class State(Result):
    task_id: str = Field(alias="taskId")
    status: str
    result: CallToolResult | None = None


class Params(RequestParams):
    task_id: str = Field(alias="taskId")


class GetTask(Request[Params, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    name_param = "taskId"


class CancelTask(Request[Params, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    name_param = "taskId"


async def ended(session, handle):
    """Asks for a task until it is over."""
    while True:
        state = await session.send_request(GetTask(params=Params(taskId=handle.task_id)), State)
        if state.status != "working":
            return state
        await anyio.sleep(handle.poll_interval_ms / 1000)


class Tasks(ClientExtension):
    identifier = "io.modelcontextprotocol/tasks"

    def claims(self):
        return [ResultClaim(result_type="task", model=Handle, resolve=self.resolve)]

    async def resolve(self, handle, context):
        say("handle", status=handle.status)
        return (await ended(context.session, handle)).result


async def with_tasks(client):
    upid = await begin()
    say("followed", result=plain(await client.call_tool("read", {"path": upid, "wait": 60})))
    upid = await begin()
    handle = await client.session.call_tool("read", {"path": upid, "wait": 60}, allow_claimed=True)
    await client.session.send_request(CancelTask(params=Params(taskId=handle.task_id)), Result)
    state = await ended(client.session, handle)
    say("cancelled", status=state.status, result=plain(await client.call_tool("read", {"path": upid})))


async def main():
    server = StdioServerParameters(command=TASK["command"][0], args=TASK["command"][1:])
    extensions = [Tasks()] if TASK["tasks"] else None
    async with Client(server, mode=TASK["mode"], extensions=extensions) as client:
        await (with_tasks if TASK["tasks"] else run)(client)
    say("closed")


anyio.run(main)
