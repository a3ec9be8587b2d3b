// What a Node.js program does where pp-fetcher(1) deploys it: it answers at the health URL, and ends in order.
"use strict";

const http = require("node:http");

const server = http.createServer((request, response) => {
	if (request.url === "/healthz") {
		// Ask here what the program cannot do without, such as its database, and answer 503 where it is missing.
		response.writeHead(200, { "Content-Type": "text/plain" });
		response.end("ok\n");
		return;
	}
	response.writeHead(200, { "Content-Type": "text/plain" });
	response.end("hello\n");
});

// An address that is in use ends the program, and the deploy is taken back: node does so by itself, if no handler of
// "error" keeps it alive.
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");

// systemd sends this before a restart. What has begun is finished, which TimeoutStopSec= of the unit limits; connections
// that wait for another request are closed.
process.on("SIGTERM", () => {
	server.close(() => process.exit(0));
	server.closeIdleConnections();
});
