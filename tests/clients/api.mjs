// The official TypeScript SDKs as clients of Provost's tools on the API, its resources, prompts and completions.
//
// Takes one argument, a JSON object: `package` (the SDK's npm package), `command` (what is started as the server),
// `mode` (how the SDK negotiates), `tasks` (whether it says that it knows tasks, and does what they are for and nothing
// else). Prints a JSON object a line, each with its `step`; reads a UPID from standard input where the step is "begin".
// Judges nothing: api.rs does. It is run from a directory that has `node_modules`.

import { createInterface } from 'node:readline';

const task = JSON.parse(process.argv[2]);
const first = task.package === '@modelcontextprotocol/sdk';
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function say(step, seen = {}) {
  process.stdout.write(JSON.stringify({ step, ...seen }) + '\n');
}

// The UPID of a task that the test starts now.
async function begin() {
  say('begin');
  return (await input.next()).value;
}

const { Client } = await import(first ? `${task.package}/client/index.js` : task.package);
const { StdioClientTransport } = await import(first ? `${task.package}/client/stdio.js` : `${task.package}/stdio`);

const clientInfo = { name: 'provost-clients-test', version: '1' };
const options = task.mode === undefined ? {} : { versionNegotiation: { mode: task.mode } };
const client = new Client(clientInfo, options);
const troubles = [];
client.onerror = error => {
  // It hands a notice on only after the answer that came with it, and then takes it for late; wire.rs sees the order.
  const early = String(error).includes('progress notification for an unknown token');
  if (!early) troubles.push(String(error));
};
const [command, ...args] = task.command;
const transport = new StdioClientTransport({ command, args, stderr: 'inherit' });
let protocol;
transport.setProtocolVersion = version => (protocol = version);

function call(name, args, more = {}) {
  const params = { name, arguments: args };
  return first ? client.callTool(params, undefined, more) : client.callTool(params, more);
}

const resource = async uri => JSON.parse((await client.readResource({ uri })).contents[0].text);
const complete = async (ref, name, value) =>
  (await client.complete({ ref, argument: { name, value } })).completion.values;

async function run() {
  say('connected', {
    protocol: client.getNegotiatedProtocolVersion?.() ?? protocol,
    capabilities: client.getServerCapabilities(),
  });
  say('tools', { tools: (await client.listTools()).tools });
  say('find', { result: await call('find', { query: 'grow disk of vm 104' }) });
  const rows = { where: 'type = qemu and vmid > 104', sort: '-vmid', fields: ['vmid', 'name'], limit: 2 };
  say('list', { result: await call('read', { path: '/cluster/resources', ...rows }) });
  const blanks = { path: '/nodes/{node}/qemu/{vmid}/config', args: { vmid: 104 } };
  say('blanks', { result: await call('read', blanks) });
  say('refused', { result: await call('read', { path: 'POST /nodes/pve1/qemu/104/status/start' }) });

  const uris = (await client.listResources()).resources.map(resource => resource.uri);
  const templates = (await client.listResourceTemplates()).resourceTemplates.map(each => each.uriTemplate);
  const [guests, guest] = [await resource('provost://guests'), await resource('provost://guest/104')];
  say('resources', { uris, templates, guests, guest });
  const names = (await client.listPrompts()).prompts.map(prompt => prompt.name);
  const prompt = await client.getPrompt({ name: 'why-slow', arguments: { guest: '104' } });
  say('prompts', { names, text: prompt.messages[0].content.text });
  say('completed', {
    guests: await complete({ type: 'ref/resource', uri: 'provost://guest/{vmid}' }, 'vmid', '1'),
    kinds: await complete({ type: 'ref/prompt', name: 'new-guest' }, 'kind', 'v'),
  });

  const upid = await begin();
  const abort = new AbortController();
  const waiting = call('read', { path: upid, wait: 60 }, { signal: abort.signal, onprogress: () => abort.abort('test') });
  const by_the_sdk = await waiting.then(() => false, () => true);
  say('cancelled', { by_the_sdk, result: await call('read', { path: upid }) });

  const notices = [];
  const onprogress = ({ progress, message }) => notices.push({ progress, message });
  say('followed', { result: await call('read', { path: upid, wait: 60 }, { onprogress }), notices });
}

// The SDK leaves the wire of tasks to whoever has the transport: requests and answers as they are.
function dispatcher() {
  const waiting = new Map();
  const forSdk = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const resolve = waiting.get(message.id);
    if (resolve === undefined) return forSdk?.(message, extra);
    waiting.delete(message.id);
    const { result, error } = message;
    return resolve(error === undefined ? { kind: 'result', result } : { kind: 'error', error });
  };
  let last = 0;
  return async request => {
    const id = `task-${++last}`;
    const answer = new Promise(resolve => waiting.set(id, resolve));
    await transport.send({ jsonrpc: '2.0', id, ...request });
    return answer;
  };
}

async function withTasks() {
  const { createTaskSessionFromClient } = await import('@modelcontextprotocol/ext-tasks/client');
  const session = createTaskSessionFromClient(client, {
    endpointId: 'provost',
    rawDispatch: dispatcher(),
    v2RequestFraming: { protocolVersion: client.getNegotiatedProtocolVersion(), clientInfo, clientCapabilities: {} },
  });
  const wait = upid => session.callTool('read', { path: upid, wait: 60 });
  const followed = await wait(await begin());
  say('handle', { status: followed.kind === 'task' ? 'working' : followed.kind });
  say('followed', { result: (await followed.settle()).outcome.result });
  const upid = await begin();
  const cancelled = await wait(upid);
  await cancelled.cancel();
  const { outcome } = await cancelled.settle();
  say('cancelled', { status: outcome.status, result: await call('read', { path: upid }) });
  await session.close();
}

await client.connect(transport);
await (task.tasks ? withTasks() : run());
await client.close();
say('closed', { troubles });
input.return();
process.stdin.destroy();
