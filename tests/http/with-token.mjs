// A reverse proxy of a few lines, for a client that cannot be told of a token: passes everything on as it came, Host and
// Origin too, with the token in front. What asks for the tool $CUT is answered with the first event of its stream and no more,
// as by a network that broke. Prints where it listens; ends when its standard input does.

import http from "node:http";

const target = new URL(process.env.PROVOST_URL);
const cut = process.env.CUT;

const server = http.createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  const headers = { ...request.headers, authorization: `Bearer ${process.env.PROVOST_TOKEN}` };
  const { hostname, port } = target;
  const passed = http.request({ hostname, port, method: request.method, path: request.url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    if (cut && body.includes(`"${cut}"`)) {
      let said = "";
      answer.setEncoding("utf8").on("data", (text) => {
        said += text;
        const end = said.indexOf("\n\n");
        // Its own end closes the other connection, below.
        if (end >= 0 && !response.writableEnded) response.end(said.slice(0, end + 2));
      });
      answer.on("end", () => response.end());
    } else {
      answer.pipe(response);
    }
  });
  passed.on("error", () => response.destroy());
  response.on("close", () => passed.destroy());
  passed.end(body);
});
server.listen(0, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}`));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
