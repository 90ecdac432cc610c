"""The official Python SDK, 1.x or 2.x, as a client that a person agrees to.

client.py URL NAME [DOCUMENT]: says `authorize ADDRESS`, waits for the answer on loopback, calls a tool and says
`called ...`, calls one for which it has to ask again and says `added ...`, waits for a line on standard input, calls
again and says `refused ...` when it is.
"""

import asyncio
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version

from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.shared.auth import OAuthClientMetadata

MODERN = int(version("mcp").split(".")[0]) >= 2


class Memory(TokenStorage):
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


async def main(url, name, document=None):
    answers = asyncio.Queue()

    async def arrived(reader, writer):
        path = (await reader.readline()).decode().split(" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone")
        await writer.drain()
        writer.close()
        if path.startswith("/callback?"):
            from urllib.parse import parse_qs

            await answers.put({key: values[0] for key, values in parse_qs(path.split("?", 1)[1]).items()})

    server = await asyncio.start_server(arrived, "127.0.0.1", 0)
    uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"

    async def redirect(address):
        print(f"authorize {address}", flush=True)

    async def callback():
        if over.is_set():
            raise RuntimeError("asked once more")
        got = await answers.get()
        if MODERN:
            from mcp.client.auth import AuthorizationCodeResult

            return AuthorizationCodeResult(code=got["code"], state=got.get("state"), iss=got.get("iss"))
        return got["code"], got.get("state")

    over = asyncio.Event()
    metadata = OAuthClientMetadata(
        client_name=name,
        redirect_uris=[uri],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=metadata,
        storage=Memory(),
        redirect_handler=redirect,
        callback_handler=callback,
        client_metadata_url=document,
    )
    async with connected(url, provider) as session:
        result = await session.call_tool("echo", {"message": "hello"})
        print("called", result.content[0].text, flush=True)
        result = await session.call_tool("get-sum", {"a": 2, "b": 3})
        print("added", result.content[0].text, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        over.set()
        try:
            again = await asyncio.wait_for(session.call_tool("echo", {"message": "again"}), 5)
            print("went through", again, flush=True)
        except BaseException as error:  # noqa: BLE001  # however the SDK says it
            print("refused", type(error).__name__, flush=True)
            # What is left of the connection has nobody to talk to.
            import os

            os._exit(0)
    sys.exit(1)


@asynccontextmanager
async def connected(url, auth):
    from mcp.client.streamable_http import streamable_http_client

    if MODERN:
        import httpx2
        from mcp.client import Client

        async with httpx2.AsyncClient(auth=auth, timeout=60, trust_env=False) as http:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                yield client
    else:
        import httpx
        from mcp import ClientSession

        async with httpx.AsyncClient(auth=auth, timeout=60, trust_env=False) as http:
            async with streamable_http_client(url, http_client=http) as (reader, writer, _):
                async with ClientSession(reader, writer) as session:
                    await session.initialize()
                    yield session


asyncio.run(main(*sys.argv[1:]))
