// A proxy on loopback that adds a token to each request, for clients that know of none: the suite, above all.
//
//   node front.mjs --to URL --token-file FILE READY_FILE      its URL is in READY_FILE once it listens
//
// Everything else passes unchanged and as it comes, both ways: status, headers and their spelling, bodies, streams, and
// a connection that ends early. `Host` and `Origin` too: whether they are right is for whoever is behind to say.

import { readFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { listen } from './listen.mjs';

export function createFront(target, tokenFile) {
  const authorization = `Bearer ${readFileSync(tokenFile, 'ascii').trim()}`;
  return createServer((request, response) => {
    const { method, url: path, rawHeaders } = request;
    const headers = [...rawHeaders, 'Authorization', authorization];
    // No agent: a connection of its own for each request, so that none is taken that the other side is about to close.
    const onward = send({ host: target.hostname, port: target.port, method, path, headers, agent: false });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      // A stream may be silent for long; that it has begun is said at once.
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', (error) => {
      if (!response.headersSent) response.writeHead(502).end(`front: ${error.message}\n`);
      else response.destroy();
    });
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const text = { type: 'string' };
  const { values, positionals } = parseArgs({ options: { to: text, 'token-file': text }, allowPositionals: true });
  const target = new URL(values.to);
  listen(createFront(target, values['token-file']), target.pathname, positionals[0]);
}
