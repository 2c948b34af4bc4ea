"""The official A2A SDK's client, with a token: what it sees, step by step, as JSON objects on lines. Judges nothing: a2a.rs does.

Takes one argument, a JSON object: `url`, `token`, `binding` (JSONRPC or HTTP+JSON), `version` (1.0 or 0.3), `change` (a plan's
arguments that need an approval). After the step "waits" it goes on when a line comes.
"""

import asyncio
import json
import sys
import uuid

import httpx
import jwt
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    CancelTaskRequest,
    GetExtendedAgentCardRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.signing import create_signature_verifier
from google.protobuf.json_format import MessageToDict, ParseDict

TASK = json.loads(sys.argv[1])
OLD = TASK["version"] == "0.3"


def say(step, **seen):
    print(json.dumps({"step": step, **seen}), flush=True)


def message(tool, arguments, **more):
    part = Part()
    ParseDict({"tool": tool, "arguments": arguments}, part.data)
    return Message(message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=[part], **more)


def state(task):
    return TaskState.Name(task.status.state).removeprefix("TASK_STATE_")


def answer(task):
    return MessageToDict(task.artifacts[0].parts[0].data) if task.artifacts else None


async def last(events):
    """The task as a stream leaves it, and what came on the way."""
    task, kinds = None, []
    async for event in events:
        kind = event.WhichOneof("payload")
        kinds.append(kind)
        if kind == "task":
            task = event.task
        elif kind == "artifact_update":
            task.artifacts.append(event.artifact_update.artifact)
        elif kind == "status_update":
            task.status.CopyFrom(event.status_update.status)
    return task, kinds


async def main():
    async with httpx.AsyncClient(headers={"Authorization": "Bearer " + TASK["token"]}, timeout=60) as http:
        keys = (await http.get(TASK["url"] + "/.well-known/jwks.json")).json()["keys"]
        key = {key["kid"]: jwt.PyJWK(key) for key in keys}
        verifier = create_signature_verifier(lambda kid, jku: key[kid], ["EdDSA"])
        async with httpx.AsyncClient() as nobody:
            card = await A2ACardResolver(nobody, TASK["url"]).get_agent_card(signature_verifier=verifier)
        wanted = [i for i in card.supported_interfaces if (i.protocol_binding, i.protocol_version) == (TASK["binding"], TASK["version"])]
        say("card", name=card.name, skills=[skill.id for skill in card.skills], interfaces=len(wanted))
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(wanted)

        def client(streaming):
            bindings = [TASK["binding"]]
            return ClientFactory(ClientConfig(streaming=streaming, httpx_client=http, supported_protocol_bindings=bindings)).create(card)

        streams, waits = client(True), client(False)
        task, kinds = await last(waits.send_message(SendMessageRequest(message=message("status", {}))))
        say("sent", state=state(task), answer=answer(task), kinds=kinds)
        task, kinds = await last(streams.send_message(SendMessageRequest(message=message("read", {"path": "/version"}))))
        say("streamed", state=state(task), answer=answer(task), kinds=kinds)
        got = await streams.get_task(GetTaskRequest(id=task.id))
        say("got", state=state(got), answer=answer(got))
        words = Message(message_id="words", role=Role.ROLE_USER, parts=[Part(text="start a container")], context_id=task.context_id)
        found, _ = await last(waits.send_message(SendMessageRequest(message=words)))
        say("found", state=state(found), tool=found.artifacts[0].name, same=found.context_id == task.context_id)
        refused, _ = await last(waits.send_message(SendMessageRequest(message=message("read", {"path": "/access/users"}))))
        say("refused", state=state(refused), answer=answer(refused))
        if not OLD:
            listed = await streams.list_tasks(ListTasksRequest(page_size=2))
            say("listed", total=listed.total_size, here=len(listed.tasks), more=bool(listed.next_page_token))
        extended = await streams.get_extended_agent_card(GetExtendedAgentCardRequest(), signature_verifier=None if OLD else verifier)
        say("extended", role=MessageToDict(extended.capabilities.extensions[0].params)["role"])
        errors = []
        for asked in [
            streams.get_task(GetTaskRequest(id="nobodys")),
            streams.cancel_task(CancelTaskRequest(id=task.id)),
            streams.create_task_push_notification_config(TaskPushNotificationConfig(task_id=task.id, url="http://127.0.0.1:1")),
        ]:
            try:
                await asked
                errors.append(None)
            except Exception as error:
                errors.append(type(error).__name__)
        say("errors", errors=errors)
        planned, _ = await last(waits.send_message(SendMessageRequest(message=message("plan", TASK["change"]))))
        plan = answer(planned)["plan_id"]
        apply = SendMessageRequest(message=message("apply", {"plan_id": plan}, context_id=planned.context_id))
        task, _ = await last(streams.send_message(apply))
        say("waits", planned=state(planned), state=state(task), plan=plan, said=task.status.message.parts[0].text)
        # From here on it listens, until somebody has said yes and PVE has done it.
        following = asyncio.ensure_future(last(streams.subscribe(SubscribeToTaskRequest(id=task.id))))
        await asyncio.to_thread(sys.stdin.readline)
        done, kinds = await following
        say("applied", state=state(done), answer=answer(done), kinds=sorted(set(kinds)))
        again, _ = await last(waits.send_message(SendMessageRequest(message=message("plan", TASK["change"]))))
        canceled = await streams.cancel_task(CancelTaskRequest(id=again.id))
        say("canceled", state=state(canceled))


asyncio.run(main())
