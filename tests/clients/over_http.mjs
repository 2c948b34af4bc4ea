// The official TypeScript SDKs over HTTP, with a token: what they see, as one JSON object on a line. Judges nothing: http.rs
// does. Takes one argument, a JSON object: `package`, `url`, `token`, `mode` (how the SDK negotiates, where it can).

const task = JSON.parse(process.argv[2]);
const first = task.package === "@modelcontextprotocol/sdk";
const { Client } = await import(first ? "@modelcontextprotocol/sdk/client/index.js" : task.package);
const { StreamableHTTPClientTransport } = await import(
  first ? "@modelcontextprotocol/sdk/client/streamableHttp.js" : task.package
);

const requestInit = { headers: { Authorization: `Bearer ${task.token}` } };
const transport = new StreamableHTTPClientTransport(new URL(task.url), { requestInit });
const options = task.mode ? { versionNegotiation: { mode: task.mode } } : {};
const client = new Client({ name: "test", version: "1" }, options);
await client.connect(transport);
const tools = (await client.listTools()).tools.length;
const status = (await client.callTool({ name: "status", arguments: {} })).structuredContent;
const refused = (await client.callTool({ name: "read", arguments: { path: "/access/users" } })).structuredContent;
console.log(JSON.stringify({ step: "seen", tools, status, refused }));
await client.close();
