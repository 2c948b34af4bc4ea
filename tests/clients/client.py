"""The official Python SDK as a client of Provost: does one thing after another and prints what it saw.

Takes one argument, a JSON object: `way` ({"command": [...]} to start, or {"socket": PATH} to connect to), `mode`
(how the SDK negotiates), `tag` (a word for file names in the guest). Prints a JSON object a line, each with its
`step`; waits for a line on standard input where the step says that it does. Judges nothing: sdk.rs does.
"""

import json
import sys
import time
from contextlib import asynccontextmanager

import anyio
import jsonschema
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

GUEST = 101
TASK = json.loads(sys.argv[1])


def say(step, **seen):
    print(json.dumps({"step": step, **seen}), flush=True)


def plain(result):
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


@asynccontextmanager
async def socket_transport(path):
    """Lines of JSON over a unix socket, as the SDK wants a transport."""
    stream = await anyio.connect_unix(path)
    to_session, incoming = anyio.create_memory_object_stream(0)
    outgoing, from_session = anyio.create_memory_object_stream(0)

    async def receive():
        rest = b""
        async with to_session:
            try:
                async for chunk in stream:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                        await to_session.send(SessionMessage(message))
            except anyio.BrokenResourceError:
                pass

    async def send():
        async with from_session:
            async for message in from_session:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await stream.send(line.encode() + b"\n")

    async with stream, anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        tasks.start_soon(send)
        yield incoming, outgoing
        tasks.cancel_scope.cancel()


async def run(client):
    async def call(tool, progress=None, **arguments):
        return plain(await client.call_tool(tool, arguments, progress_callback=progress))

    async def inspect(*argv, **more):
        return await call("exec", guest=GUEST, argv=argv, **more)

    async def change(*argv, **more):
        return await call("exec", guest=GUEST, argv=argv, mode="change", **more)

    say(
        "connected",
        protocol=client.protocol_version,
        server=plain(client.server_info),
        instructions=client.instructions,
        capabilities=plain(client.server_capabilities),
    )
    say("tools", tools=[plain(tool) for tool in (await client.list_tools()).tools])
    say("status", result=await call("status"))

    resources = (await client.list_resources()).resources
    read = (await client.read_resource("provost://schema/exec")).contents[0]
    schema = json.loads(read.text)
    say("resources", uris=[resource.uri for resource in resources], schema=schema, mime=read.mime_type)

    say("inspect", result=await inspect("cat", "/etc/hostname"))
    refused = await inspect("sh", "-c", f"echo no > /root/{TASK['tag']}")
    say("refused", result=refused)
    changed = await change(
        "sh",
        "-c",
        'cat; echo "$GREETING"; pwd; id -un',
        stdin="from stdin\n",
        env={"GREETING": "grüß dich"},
        cwd="/var/tmp",
        user="daemon",
    )
    say("changed", result=changed)

    # The command ends when a second call makes a file, and that is made when its second line has arrived.
    gate = f"/tmp/{TASK['tag']}"
    notices = []
    arrived = anyio.Event()

    async def notice(progress, _total, message):
        notices.append({"progress": progress, "message": message})
        if "second" in "".join(notice["message"] or "" for notice in notices):
            arrived.set()

    async def open_gate():
        await arrived.wait()
        await change("touch", gate)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_gate)
        script = f"echo first; sleep 0.02; echo second; until rm {gate} 2>/dev/null; do sleep 0.01; done; echo third"
        result = await change("sh", "-c", script, progress=notice, timeout_s=20)
    say("progress", notices=notices, result=result)

    # The test looks at the host while the command runs, lets the SDK cancel it, and looks again.
    running = anyio.Event()
    scope = anyio.CancelScope()

    async def on_output(_progress, _total, _message):
        running.set()

    async def until_cancelled():
        with scope:
            await change("sh", "-c", "echo running; setsid sleep 611 & sleep 612", progress=on_output)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(until_cancelled)
        await running.wait()
        say("running")
        await anyio.to_thread.run_sync(sys.stdin.readline)
        scope.cancel()
    say("cancelled", by_the_sdk=scope.cancelled_caught)
    await anyio.to_thread.run_sync(sys.stdin.readline)

    say("timeout", result=await change("sleep", "613", timeout_s=1))
    ends = ["exit 0", "exit 3", "exit 255", "kill -TERM $$"]
    say("ends", results=[await inspect("sh", "-c", end) for end in ends])
    say("no program", result=await inspect("no-such-program"))
    say("unlisted", result=await call("exec", guest=150, argv=["true"]))
    say("out of scope", result=await call("exec", guest=200, argv=["true"]))
    say("misspelt", result=await call("exec", guest=GUEST, argvs=["true"]))
    try:
        say("no such tool", result=await call("execute", guest=GUEST))
    except MCPError as error:
        say("no such tool", code=error.error.code, message=error.error.message)

    outputs = {}

    async def echo(number):
        outputs[number] = (await inspect("echo", str(number)))["structuredContent"]["stdout"]

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(echo, number)
    say("parallel", outputs=[outputs[number] for number in range(20)])
    say("large", result=await inspect("seq", "1", "200000"))
    say("large input", result=await change("wc", "-c", stdin="0123456789abcde\n" * 65536))

    validator = jsonschema.Draft202012Validator(schema)
    answers = [refused, changed, result]
    errors = [str(error.message) for answer in answers for error in validator.iter_errors(answer["structuredContent"])]
    say("schema", errors=errors)


async def main():
    way = TASK["way"]
    if "socket" in way:
        server = socket_transport(way["socket"])
    else:
        server = StdioServerParameters(command=way["command"][0], args=way["command"][1:])
    async with Client(server, mode=TASK["mode"]) as client:
        await run(client)
        closing = time.monotonic()
    say("closed", ms=(time.monotonic() - closing) * 1000)


anyio.run(main)
