"""The client of the official A2A SDK's older line (0.3), as its users have it: nothing but an address and a token. What it sees,
step by step, as JSON objects on lines. Judges nothing: a2a.rs does.

Takes one argument, a JSON object: `url`, `token`, `change` (a plan's arguments that need an approval).
"""

import asyncio
import json
import sys
import uuid

import httpx
import jwt
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientJSONRPCError
from a2a.types import DataPart, Message, Part, Role, TaskIdParams, TaskQueryParams
from a2a.utils.signing import create_signature_verifier

TASK = json.loads(sys.argv[1])


def say(step, **seen):
    print(json.dumps({"step": step, **seen}), flush=True)


def message(tool, arguments, **more):
    part = Part(root=DataPart(data={"tool": tool, "arguments": arguments}))
    return Message(message_id=str(uuid.uuid4()), role=Role.user, parts=[part], **more)


async def last(events):
    """The task as a stream leaves it, and how many events there were."""
    task, count = None, 0
    async for told, _ in events:
        task, count = told, count + 1
    return task, count


def answer(task):
    return task.artifacts[0].parts[0].root.data if task.artifacts else None


async def main():
    async with httpx.AsyncClient() as nobody:
        keys = (await nobody.get(TASK["url"] + "/.well-known/jwks.json")).json()["keys"]
        key = {key["kid"]: jwt.PyJWK(key) for key in keys}
        verifier = create_signature_verifier(lambda kid, jku: key[kid], ["EdDSA"])
        card = await A2ACardResolver(nobody, TASK["url"]).get_agent_card(signature_verifier=verifier)
    say("card", url=card.url, version=card.protocol_version, skills=len(card.skills))
    async with httpx.AsyncClient(headers={"Authorization": "Bearer " + TASK["token"]}, timeout=60) as http:

        def client(streaming):
            return ClientFactory(ClientConfig(streaming=streaming, httpx_client=http)).create(card)

        streams, waits = client(True), client(False)
        task, _ = await last(waits.send_message(message("status", {})))
        say("sent", state=task.status.state.value, answer=answer(task))
        task, count = await last(streams.send_message(message("read", {"path": "/version"})))
        say("streamed", state=task.status.state.value, answer=answer(task), events=count)
        got = await streams.get_task(TaskQueryParams(id=task.id))
        say("got", answer=answer(got))
        extended = await waits.get_card(signature_verifier=verifier)
        say("extended", role=extended.capabilities.extensions[0].params["role"])
        try:
            await streams.get_task(TaskQueryParams(id="nobodys"))
            say("unknown", code=None)
        except A2AClientJSONRPCError as error:
            say("unknown", code=error.error.code)
        try:
            await last(streams.send_message(message("read", {"path": "/version"}, context_id="nobodys")))
            say("unknown-streamed", code=None)
        except A2AClientJSONRPCError as error:
            say("unknown-streamed", code=error.error.code)
        task, _ = await last(waits.send_message(message("plan", TASK["change"])))
        plan = answer(task)["plan_id"]
        task, _ = await last(streams.send_message(message("apply", {"plan_id": plan}, context_id=task.context_id)))
        say("waits", state=task.status.state.value, plan=plan, said=task.status.message.parts[0].root.text)
        canceled = await streams.cancel_task(TaskIdParams(id=task.id))
        say("canceled", state=canceled.status.state.value)


asyncio.run(main())
