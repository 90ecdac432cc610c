"""The official Python SDK, 1.x or 2.x, as a client that a person agrees to.

client.py URL NAME [DOCUMENT]: says `authorize ADDRESS`, waits for the answer on loopback, calls a tool and says
`called ...`, waits for a line on standard input, calls again and says `refused ...` when it is.
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
    answer = asyncio.get_running_loop().create_future()

    async def arrived(reader, writer):
        path = (await reader.readline()).decode().split(" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone")
        await writer.drain()
        writer.close()
        if path.startswith("/callback?") and not answer.done():
            from urllib.parse import parse_qs

            answer.set_result({key: values[0] for key, values in parse_qs(path.split("?", 1)[1]).items()})

    server = await asyncio.start_server(arrived, "127.0.0.1", 0)
    uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"

    async def redirect(address):
        print(f"authorize {address}", flush=True)

    async def callback():
        if not answer.done() and asking.is_set():
            raise RuntimeError("asked a second time")
        asking.set()
        got = await answer
        if MODERN:
            from mcp.client.auth import AuthorizationCodeResult

            return AuthorizationCodeResult(code=got["code"], state=got.get("state"), iss=got.get("iss"))
        return got["code"], got.get("state")

    asking = asyncio.Event()
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
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
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
