// A reverse proxy of a few lines, for a client that cannot be told of a token: passes everything on as it came, Host and
// Origin too, with the token in front. Prints where it listens; ends when its standard input does.

import http from "node:http";

const target = new URL(process.env.PROVOST_URL);
const server = http.createServer((request, response) => {
  const headers = { ...request.headers, authorization: `Bearer ${process.env.PROVOST_TOKEN}` };
  const { hostname, port } = target;
  const passed = http.request({ hostname, port, method: request.method, path: request.url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  passed.on("error", () => response.destroy());
  response.on("close", () => passed.destroy());
  request.pipe(passed);
});
server.listen(0, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}`));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
