// The official TypeScript SDKs as clients of Provost: does one thing after another and prints what it saw.
//
// Takes one argument, a JSON object: `package` (the SDK's npm package), `way` ({"command": [...]} to start, or
// {"socket": PATH} to connect to), `mode` (how the SDK negotiates), `tag` (a word for file names in the guest).
// Prints a JSON object a line, each with its `step`; waits for a line on standard input where the step says that it
// does. Judges nothing: sdk.rs does. It is run from a directory that has `node_modules`.

import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const GUEST = 101;
const task = JSON.parse(process.argv[2]);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function say(step, seen = {}) {
  process.stdout.write(JSON.stringify({ step, ...seen }) + '\n');
}

// The first line of the SDK has one package and many entries; the second is split into packages.
async function load() {
  if (task.package === '@modelcontextprotocol/sdk') {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    const shared = await import('@modelcontextprotocol/sdk/shared/stdio.js');
    return { Client, StdioClientTransport, ...shared };
  }
  const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
  return { ...(await import('@modelcontextprotocol/client')), StdioClientTransport };
}

const sdk = await load();

// Lines of JSON over a unix socket, as the SDK wants a transport.
class SocketTransport {
  constructor(path) {
    this.path = path;
    this.buffer = new sdk.ReadBuffer();
  }

  start() {
    this.socket = connect(this.path);
    this.socket.on('data', chunk => {
      this.buffer.append(chunk);
      for (let message; (message = this.buffer.readMessage()) !== null; ) this.onmessage?.(message);
    });
    this.socket.on('close', () => this.onclose?.());
    return new Promise((resolve, reject) => {
      this.socket.once('connect', resolve);
      this.socket.on('error', error => {
        reject(error);
        this.onerror?.(error);
      });
    });
  }

  send(message) {
    return new Promise((resolve, reject) => {
      this.socket.write(sdk.serializeMessage(message), error => (error ? reject(error) : resolve()));
    });
  }

  close() {
    return new Promise(resolve => {
      this.socket.once('close', resolve);
      this.socket.end();
    });
  }
}

const options = task.mode === undefined ? {} : { versionNegotiation: { mode: task.mode } };
const client = new sdk.Client({ name: 'provost-clients-test', version: '1' }, options);
const troubles = [];
client.onerror = error => troubles.push(String(error));
const { command, socket } = task.way;
const transport = socket
  ? new SocketTransport(socket)
  : new sdk.StdioClientTransport({ command: command[0], args: command.slice(1), stderr: 'inherit' });

function call(name, args = {}, more = {}) {
  const params = { name, arguments: args };
  return task.package === '@modelcontextprotocol/sdk'
    ? client.callTool(params, undefined, more)
    : client.callTool(params, more);
}

const inspect = (argv, args = {}, more = {}) => call('exec', { guest: GUEST, argv, ...args }, more);
const change = (argv, args = {}, more = {}) => inspect(argv, { mode: 'change', ...args }, more);

let protocol;
transport.setProtocolVersion = version => (protocol = version);
await client.connect(transport);
say('connected', {
  protocol: client.getNegotiatedProtocolVersion?.() ?? protocol,
  server: client.getServerVersion(),
  instructions: client.getInstructions(),
  capabilities: client.getServerCapabilities(),
});
say('tools', { tools: (await client.listTools()).tools });
say('status', { result: await call('status') });

const { resources } = await client.listResources();
const read = (await client.readResource({ uri: 'provost://schema/exec' })).contents[0];
say('resources', {
  uris: resources.map(resource => resource.uri),
  schema: JSON.parse(read.text),
  mime: read.mimeType,
});

say('inspect', { result: await inspect(['cat', '/etc/hostname']) });
say('refused', { result: await inspect(['sh', '-c', `echo no > /root/${task.tag}`]) });
say('changed', {
  result: await change(['sh', '-c', 'cat; echo "$GREETING"; pwd; id -un'], {
    stdin: 'from stdin\n',
    env: { GREETING: 'grüß dich' },
    cwd: '/var/tmp',
    user: 'daemon',
  }),
});

// The command ends when a second call makes a file, and that is made when its second line has arrived.
const gate = `/tmp/${task.tag}`;
const notices = [];
let opened;
const script = `echo first; sleep 0.02; echo second; until rm ${gate} 2>/dev/null; do sleep 0.01; done; echo third`;
const onprogress = ({ progress, message }) => {
  notices.push({ progress, message });
  if (!opened && notices.map(notice => notice.message).join('').includes('second')) opened = change(['touch', gate]);
};
const result = await change(['sh', '-c', script], { timeout_s: 20 }, { onprogress });
await opened;
say('progress', { notices, result });

// The test looks at the host while the command runs, lets the SDK cancel it, and looks again.
const abort = new AbortController();
const long = await new Promise(resolve => {
  const call = change(['sh', '-c', 'echo running; setsid sleep 611 & sleep 612'], {}, {
    signal: abort.signal,
    onprogress: () => resolve({ call }),
  });
  call.catch(() => {});
});
say('running');
await input.next();
abort.abort('test');
say('cancelled', { by_the_sdk: await long.call.then(() => false, () => true) });
await input.next();

say('timeout', { result: await change(['sleep', '613'], { timeout_s: 1 }) });
const results = [];
for (const end of ['exit 0', 'exit 3', 'exit 255', 'kill -TERM $$']) results.push(await inspect(['sh', '-c', end]));
say('ends', { results });
say('no program', { result: await inspect(['no-such-program']) });
say('unlisted', { result: await call('exec', { guest: 150, argv: ['true'] }) });
say('out of scope', { result: await call('exec', { guest: 200, argv: ['true'] }) });
say('misspelt', { result: await call('exec', { guest: GUEST, argvs: ['true'] }) });
await call('execute', { guest: GUEST }).then(
  result => say('no such tool', { result }),
  ({ code, message }) => say('no such tool', { code, message }),
);

const outputs = await Promise.all([...Array(20).keys()].map(number => inspect(['echo', String(number)])));
say('parallel', { outputs: outputs.map(output => output.structuredContent.stdout) });
say('large', { result: await inspect(['seq', '1', '200000']) });
say('large input', { result: await change(['wc', '-c'], { stdin: '0123456789abcde\n'.repeat(65536) }) });

const closing = performance.now();
await client.close();
say('closed', { ms: performance.now() - closing, troubles });
input.return();
process.stdin.destroy();
