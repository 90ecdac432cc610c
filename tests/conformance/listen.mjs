// How every program here listens: on a free port of loopback, whose URL is in the ready file once it answers.

import { renameSync, writeFileSync } from 'node:fs';

export function listen(server, path, readyFile) {
  server.listen(0, '127.0.0.1', () => {
    const url = `http://127.0.0.1:${server.address().port}${path}`;
    // Renamed into place, so that nobody reads half of it.
    writeFileSync(`${readyFile}.part`, url);
    renameSync(`${readyFile}.part`, readyFile);
  });
}
