"""The official Python SDK as an MCP client: both lines, 1.x and 2.x, drive the same steps.

Connects, lists tools, calls one that is allowed and one that is denied, then starts a long call, runs the stop
command while it is under way, and expects to be cut off and refused from then on. Prints one JSON object per step;
exits 1 at the first step that goes wrong. See ../README.md for the arguments.
"""

import argparse
import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

SDK = version("mcp")
MODERN = int(SDK.split(".")[0]) >= 2

# Without a report for this long, a stream that reported several times a second counts as cut.
SILENCE_SECONDS = 3.0
CALL_SECONDS = 30.0


class Failed(Exception):
    """A step did not go as it must."""


def say(step, **facts):
    print(json.dumps({"client": f"python {SDK}", "step": step, **facts}), flush=True)


def text_of(result):
    return "\n".join(block.text for block in result.content if getattr(block, "text", None))


def is_error(result):
    return result.is_error if MODERN else result.isError


@asynccontextmanager
async def connected(url, headers):
    """A session, opened the way each line of the SDK documents for its users."""
    from mcp.client.streamable_http import streamable_http_client

    if MODERN:
        import httpx2
        from mcp.client import Client

        async with httpx2.AsyncClient(headers=headers, timeout=CALL_SECONDS, trust_env=False) as http:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                yield client
    else:
        import httpx
        from mcp import ClientSession

        async with httpx.AsyncClient(headers=headers, timeout=CALL_SECONDS, trust_env=False) as http:
            async with streamable_http_client(url, http_client=http) as (reader, writer, _):
                async with ClientSession(reader, writer) as session:
                    await session.initialize()
                    yield session


async def call(client, name, arguments, on_progress=None, seconds=CALL_SECONDS):
    timeout = seconds if MODERN else timedelta(seconds=seconds)
    return await client.call_tool(name, arguments, timeout, on_progress)


async def check_list(client, options):
    names = [tool.name for tool in (await client.list_tools()).tools]
    say("listed", tools=names)
    if options.allow not in names:
        raise Failed(f"`{options.allow}` is not listed")
    if options.deny_hidden and options.deny in names:
        raise Failed(f"`{options.deny}` is listed and must not be")


async def check_allowed(client, options):
    result = await call(client, options.allow, json.loads(options.allow_args))
    say("allowed", text=text_of(result))
    if is_error(result) or options.expect not in text_of(result):
        raise Failed(f"the allowed call did not answer `{options.expect}`")


async def check_denied(client, options):
    """A denial reaches the caller as a result or as a protocol error, and always as words."""
    try:
        result = await call(client, options.deny, json.loads(options.deny_args))
        refused, words, kind = is_error(result), text_of(result), "result"
    except Exception as error:  # MCPError in 2.x, McpError in 1.x; anything else fails below
        refused, words, kind = type(error).__name__.lower() == "mcperror", str(error), "error"
    say("denied", kind=kind, text=words)
    if not refused or options.deny_says.lower() not in words.lower():
        raise Failed(f"the denied call was not refused with `{options.deny_says}`")


async def check_cut(client, options):
    """Starts the long call, stops it from outside, and waits until the client notices."""
    reports = asyncio.Queue()

    async def on_progress(progress, _total, _message):
        await reports.put(progress)

    running = asyncio.create_task(call(client, options.long, json.loads(options.long_args), on_progress, 120))
    await asyncio.wait_for(reports.get(), CALL_SECONDS)
    say("streaming")
    stop = await asyncio.create_subprocess_shell(options.stop)
    if await stop.wait() != 0:
        raise Failed(f"the stop command failed: {options.stop}")
    while reports.qsize():
        reports.get_nowait()
    stopped = last = time.monotonic()
    how = "silent"
    while time.monotonic() - last < SILENCE_SECONDS:
        if running.done():
            how = describe(running)
            break
        try:
            await asyncio.wait_for(reports.get(), 0.1)
        except asyncio.TimeoutError:
            continue
        last = time.monotonic()
        if (last - stopped) * 1000 > options.cut_ms:
            raise Failed(f"still streaming {round((last - stopped) * 1000)} ms after the stop")
    running.cancel()
    say("cut", how=how, last_report_ms=round((last - stopped) * 1000))


def describe(running):
    """Why the long call ended; a proper result means that nothing was cut."""
    error = running.exception()
    if error is None and not is_error(running.result()):
        raise Failed("the long call came to its end")
    return f"{type(error).__name__}: {error}" if error else text_of(running.result())


async def check_refused_after(client, options):
    """Returns the words of the refusal; a refusal by HTTP status ends the whole session instead."""
    result = await call(client, options.allow, json.loads(options.allow_args), seconds=5)
    if not is_error(result):
        raise Failed("a call after the stop still got through")
    return text_of(result)


async def main(options):
    headers = {}
    if options.token_file:
        with open(options.token_file, encoding="ascii") as file:
            headers["Authorization"] = "Bearer " + file.read().strip()
    was_cut = False
    try:
        async with connected(options.url, headers) as client:
            say("connected")
            await check_list(client, options)
            await check_allowed(client, options)
            await check_denied(client, options)
            if not options.stop:
                return say("done")
            await check_cut(client, options)
            was_cut = True
            words = await check_refused_after(client, options)
    except Exception as error:
        cause = first_cause(error)
        if isinstance(cause, Failed) or not was_cut:
            raise
        words = f"{type(cause).__name__}: {cause}"
    say("refused", text=words)
    say("done")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-file")
    parser.add_argument("--allow", required=True, metavar="TOOL")
    parser.add_argument("--allow-args", default="{}", metavar="JSON")
    parser.add_argument("--expect", required=True)
    parser.add_argument("--deny", required=True, metavar="TOOL")
    parser.add_argument("--deny-args", default="{}", metavar="JSON")
    parser.add_argument("--deny-says", default="")
    parser.add_argument("--deny-hidden", action="store_true")
    parser.add_argument("--long", metavar="TOOL")
    parser.add_argument("--long-args", default="{}", metavar="JSON")
    parser.add_argument("--stop")
    parser.add_argument("--cut-ms", type=int, default=1000)
    return parser.parse_args()


def first_cause(error):
    """The failure itself, not the groups that task groups wrap around it."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    try:
        asyncio.run(main(arguments()))
    except Exception as error:
        cause = first_cause(error)
        say("failed", why=str(cause) if isinstance(cause, Failed) else f"{type(cause).__name__}: {cause}")
        sys.exit(1)
