// A proxy on loopback before a server that writes down what arrives there, and changes nothing: the server's side of
// what matrix.sh observes, for servers that do not tell.
//
//   node tap.mjs --to URL --record FILE READY_FILE      its URL is in READY_FILE once it listens
//
// Each line of the record is {"method", "name"?} of a message, as the server got it, or {"left": METHOD} for a request
// whose answer was let go of before its end.

import { appendFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { parseArgs } from 'node:util';
import { listen } from './listen.mjs';

const text = { type: 'string' };
const { values, positionals } = parseArgs({ options: { to: text, record: text }, allowPositionals: true });
const target = new URL(values.to);
const note = (line) => appendFileSync(values.record, `${JSON.stringify(line)}\n`);

const server = createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  const message = body.length ? JSON.parse(body) : {};
  const method = message.method ?? (request.method === 'POST' ? 'answer' : request.method);
  note({ method, name: message.params?.name ?? message.params?.uri });
  const { method: verb, url: path, rawHeaders } = request;
  const onward = send({ host: target.hostname, port: target.port, method: verb, path, headers: rawHeaders, agent: false });
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
    response.flushHeaders();
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => {
    if (!response.writableFinished) note({ left: method });
    onward.destroy();
  });
  onward.end(body);
});

listen(server, target.pathname, positionals[0]);
