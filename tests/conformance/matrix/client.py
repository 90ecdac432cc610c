"""The official Python SDKs as clients of matrix.sh: `mcp` 1.x, and 2.x in each of its two generations.

Walks the rows of client.mjs with the same options and prints the same lines; see there.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import warnings
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

IS_LINE_2 = version("mcp").startswith("2.")
if IS_LINE_2:
    import mcp_types as types
    from mcp.shared.exceptions import MCPError as ProtocolError

    # What 2026-07-28 deprecates is a part of what is observed here.
    warnings.simplefilter("ignore")
else:
    from mcp import types
    from mcp.shared.exceptions import McpError as ProtocolError

CALL_SECONDS = 10.0
# What a client reads whose task was killed meanwhile.
CUT = "was ended while the request was under way"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"


class Wrong(Exception):
    pass


def must(is_right, why):
    if not is_right:
        raise Wrong(why)


async def until(is_so, why, seconds=3.0):
    deadline = time.monotonic() + seconds
    while not is_so():
        must(time.monotonic() < deadline, why)
        await asyncio.sleep(0.02)


def plain(model):
    """A model of either line as the JSON that it stands for."""
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def text_of(result):
    return "\n".join(block["text"] for block in result.get("content", []) if "text" in block)


class Record:
    """What the server's side saw since the row began: the record of tap.mjs."""

    def __init__(self, path, rounds):
        self.path, self.rounds, self.begin = path, rounds, 0

    def lines(self):
        with open(self.path, encoding="utf8") as file:
            return [json.loads(line) for line in file]

    def since(self):
        return self.lines()[self.begin :]

    def calls(self, tool):
        return sum(line.get("method") == "tools/call" and line.get("name") == tool for line in self.since())

    def is_told(self):
        """Within a session it is told with a message, in 2026-07-28 by letting go of its answer."""
        told = {"method": "notifications/cancelled"} if self.rounds == 1 else {"left": "tools/call"}
        return any(told.items() <= line.items() for line in self.since())


class Client:
    """One connection, and what differs between the lines of the SDK."""

    def __init__(self, options):
        self.is_stateless = options.client == "py2-stateless"
        self.elicitation = None
        self.seen = []
        self.asked = []

    @asynccontextmanager
    async def connected(self, url, token_file):
        from mcp.client.streamable_http import streamable_http_client

        with open(token_file, encoding="ascii") as file:
            headers = {"Authorization": "Bearer " + file.read().strip()}
        callbacks = {
            "elicitation_callback": self.elicit,
            "sampling_callback": self.sample,
            "list_roots_callback": self.list_roots,
            "message_handler": self.hear,
        }
        if IS_LINE_2:
            import httpx2
            from mcp.client import Client as Sdk

            mode = "2026-07-28" if self.is_stateless else "legacy"
            async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
                async with Sdk(streamable_http_client(url, http_client=http), mode=mode, **callbacks) as self.sdk:
                    yield self
        else:
            import httpx
            from mcp import ClientSession

            async with httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
                async with streamable_http_client(url, http_client=http) as (reader, writer, _):
                    async with ClientSession(reader, writer, **callbacks) as self.sdk:
                        await self.sdk.initialize()
                        yield self

    async def elicit(self, _context, params):
        self.asked.append(plain(params))
        return types.ElicitResult(**self.elicitation)

    async def sample(self, _context, _params):
        content = types.TextContent(type="text", text="a word")
        return types.CreateMessageResult(role="assistant", content=content, model="none")

    async def list_roots(self, _context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///somewhere", name="somewhere")])

    async def hear(self, message):
        if isinstance(message, Exception):
            return
        message = plain(message)
        if "method" in message:
            uri = message.get("params", {}).get("uri", "")
            self.seen.append(f"{message['method']} {uri}".strip())

    async def call(self, asked, on_progress=None, meta=None):
        timeout = CALL_SECONDS if IS_LINE_2 else timedelta(seconds=CALL_SECONDS)
        return plain(await self.sdk.call_tool(asked["tool"], asked["args"], timeout, on_progress, meta=meta))

    async def withdraw(self, waiting):
        """Takes a call back: 2.x does it when its task is cancelled; 1.x leaves the message to its user."""
        if not IS_LINE_2:
            number = self.sdk._request_id - 1  # nothing public tells the id of a request
            params = types.CancelledNotificationParams(requestId=number)
            cancelled = types.CancelledNotification(method="notifications/cancelled", params=params)
            await self.sdk.send_notification(types.ClientNotification(cancelled))
        waiting.cancel()

    async def complete(self, ref, argument):
        if ref["type"] == "ref/prompt":
            ref = types.PromptReference(**ref)
        return plain(await self.sdk.complete(ref, argument))

    async def log_all(self):
        if not self.is_stateless:
            await self.sdk.set_logging_level("debug")

    def log_meta(self):
        return {LOG_LEVEL: "debug"} if self.is_stateless else None

    @asynccontextmanager
    async def listening(self, uri=None):
        if self.is_stateless:
            async with self.sdk.listen(tools_list_changed=uri is None, resource_subscriptions=[uri] if uri else []):
                yield
        else:
            if uri:
                await self.sdk.subscribe_resource(uri)
            yield

    async def provoke(self, trigger, notice):
        """Makes the server say something, until it is heard: a stream that has just been opened may not have begun."""
        self.seen.clear()
        cell = None
        for _ in range(4):
            await self.call(trigger)
            cell = await self.hears(notice, 0.5)
            if cell == "ok":
                break
        return cell

    async def hears(self, notice, seconds):
        try:
            await until(lambda: notice in self.seen, "", seconds)
        except Wrong:
            return "nothing arrives"
        return "ok"


class Rows:
    def __init__(self, options, plan, client, kept):
        self.options, self.plan, self.client, self.kept = options, plan, client, kept
        self.record = Record(options.record, options.rounds)

    async def tools(self):
        names = [tool.name for tool in (await self.client.sdk.list_tools()).tools]
        must(self.plan["call"]["tool"] in names, f"listed: {names}")

    async def call(self):
        asked = self.plan["call"]
        must(asked["text"] in text_of(await self.client.call(asked)), "another text")
        must(self.record.calls(asked["tool"]) == 1, f"carried out {self.record.calls(asked['tool'])} times")

    async def structured(self):
        result = await self.client.call(self.plan["structured"])
        must(result.get("structuredContent") == self.plan["structured"]["content"], result)

    async def list(self):
        asked = self.plan["list"]
        result = await self.client.call(asked)
        if "structuredContent" not in result and text_of(result) == asked["text"]:
            return "ok, as text"
        must(result["structuredContent"] == asked["content"], result)

    async def failing(self):
        result = await self.client.call(self.plan["failing"])
        must(result.get("isError") and self.plan["failing"]["text"] in text_of(result), result)

    async def progress(self):
        reports = []

        async def on_progress(progress, _total, _message):
            reports.append(progress)

        await self.client.call(self.plan["progress"], on_progress)
        must(reports == self.plan["progress"]["reports"], f"reports: {reports}")

    async def cancel(self):
        waiting, _reports = await self.waiting()
        await self.client.withdraw(waiting)
        await asyncio.wait([waiting], timeout=2)
        must(waiting.cancelled() or waiting.exception(), "came to its end")
        await until(self.record.is_told, "the server was not told")

    async def waiting(self):
        """The long call, once it has reported."""
        reports = []

        async def on_progress(_progress, _total, _message):
            reports.append(time.monotonic())

        waiting = asyncio.create_task(self.client.call(self.plan["wait"], on_progress))
        await until(lambda: reports or waiting.done(), "never reported")
        must(not waiting.done(), "ended at once")
        return waiting, reports

    async def resources(self):
        asked = self.plan["resource"]
        listed = [str(resource.uri) for resource in (await self.client.sdk.list_resources()).resources]
        must(asked["uri"] in listed, f"listed: {listed}")
        await self.read(asked)

    async def templates(self):
        asked = self.plan["template"]
        listed = plain(await self.client.sdk.list_resource_templates())["resourceTemplates"]
        must(asked["uriTemplate"] in [template["uriTemplate"] for template in listed], listed)
        await self.read(asked)

    async def read(self, asked):
        contents = (await self.client.sdk.read_resource(asked["uri"])).contents
        must(asked["text"] in contents[0].text, "another text")

    async def missing(self):
        await self.client.sdk.read_resource(self.plan["missing"]["uri"])

    async def prompts(self):
        asked = self.plan["prompt"]
        listed = [prompt.name for prompt in (await self.client.sdk.list_prompts()).prompts]
        must(asked["name"] in listed, f"listed: {listed}")
        result = await self.client.sdk.get_prompt(asked["name"], asked["args"])
        must(asked["text"] in result.messages[0].content.text, "another text")

    async def completion(self):
        asked = self.plan["completion"]
        result = await self.client.complete(asked["ref"], asked["argument"])
        must(result["completion"]["values"] == asked["values"], result)

    async def accept(self):
        self.client.elicitation = {"action": "accept", "content": {"colour": "blue"}}
        await self.ask_once(self.plan["ask_user"], self.plan["ask_user"]["accepted"])

    async def decline(self):
        self.client.elicitation = {"action": "decline"}
        await self.ask_once(self.plan["ask_user"], self.plan["ask_user"]["declined"])

    async def by_url(self):
        self.client.elicitation = {"action": "accept"}
        self.client.asked.clear()
        asked = self.plan["ask_url"]
        await self.ask_once(asked, asked["text"])
        seen = [(one.get("mode"), one.get("url")) for one in self.client.asked]
        must(seen == [("url", asked["url"])], self.client.asked)

    async def url_first(self):
        self.client.elicitation = {"action": "accept"}
        self.client.asked.clear()
        asked = self.plan["need_url"]
        result = await self.client.call(asked)
        must(asked["text"] in text_of(result), result)
        seen = [(one.get("mode"), one.get("url")) for one in self.client.asked]
        must(seen == [("url", asked["url"])], self.client.asked)

    async def sampling(self):
        await self.ask_once(self.plan["ask_model"], self.plan["ask_model"]["text"])

    async def roots(self):
        await self.ask_once(self.plan["ask_roots"], self.plan["ask_roots"]["text"])

    async def ask_once(self, asked, text):
        """The server works on it once, however often it has to be asked; see client.mjs."""
        result = await self.client.call(asked)
        must(text in text_of(result), result)
        calls = self.record.calls(asked["tool"])
        must(calls == self.options.rounds, f"the server was called {calls} times")

    async def log(self):
        self.client.seen.clear()
        await self.client.log_all()
        await self.client.call(self.plan["log"], meta=self.client.log_meta())
        return await self.client.hears("notifications/message", 1.0)

    async def updated(self):
        watch = self.plan["watch"]
        async with self.client.listening(watch["uri"]):
            return await self.client.provoke(watch, f"notifications/resources/updated {watch['uri']}")

    async def changed(self):
        async with self.client.listening():
            return await self.client.provoke(self.plan["change"], "notifications/tools/list_changed")

    async def forbidden(self):
        asked = self.plan["forbidden"]
        result = await self.client.call(asked)
        must(result.get("isError") and self.options.denial in text_of(result), result)
        must(self.record.calls(asked["tool"]) == 0, "it reached the server")

    async def sampling_kept(self):
        return await self.refused_by(self.plan["ask_model"])

    async def roots_kept(self):
        return await self.refused_by(self.plan["ask_roots"])

    async def refused_by(self, asked):
        """A tool that cannot ask fails, with the protocol's error or in its result."""
        result = await self.kept.call(asked)
        must(result.get("isError"), result)
        return "isError"

    async def log_kept(self):
        await self.kept.call(self.plan["log"], meta=self.kept.log_meta())
        return await self.kept.hears("notifications/message", 0.2)

    async def level_kept(self):
        await self.kept.log_all()

    async def cut(self):
        waiting, reports = await self.waiting()
        stop = await asyncio.create_subprocess_shell(self.options.stop, stdout=subprocess.DEVNULL)
        must(await stop.wait() == 0, self.options.stop)
        stopped = time.monotonic()
        await until(self.record.is_told, "the server was not told")
        await asyncio.wait([waiting], timeout=1)
        await asyncio.sleep(0.2)
        must(reports[-1] - stopped < 1, "went on")
        must(waiting.done() and CUT in str(waiting.exception()), f"{waiting}")

    async def cell(self, row):
        self.record.begin = len(self.record.lines())
        try:
            return await getattr(self, row)() or "ok"
        except Wrong as error:
            return f"wrong: {error}"
        except ProtocolError as error:
            print(f"{self.options.client}: {error.error.code} {error}", file=sys.stderr)
            return f"error {error.error.code}"
        except Exception as error:
            return f"wrong: {type(error).__name__}: {error}"


# The rows, each with the part of the plan that it needs.
NEEDS = {
    "tools": "call", "call": "call", "structured": "structured", "list": "list", "failing": "failing",
    "progress": "progress", "cancel": "wait", "resources": "resource", "templates": "template", "missing": "missing",
    "prompts": "prompt", "completion": "completion", "accept": "ask_user", "decline": "ask_user",
    "by_url": "ask_url", "url_first": "need_url",
    "sampling": "ask_model", "roots": "ask_roots", "log": "log", "updated": "watch", "changed": "change",
    "forbidden": "forbidden", "sampling_kept": "ask_model", "roots_kept": "ask_roots", "log_kept": "log",
    "level_kept": "log", "cut": "wait",
}  # fmt: skip


def is_foreign(row, client, options):
    """What one of the two generations does not know."""
    return (row == "level_kept" and client.is_stateless) or (row == "list" and options.rounds == 1) or (row == "url_first" and options.rounds == 2)


async def main(options):
    with open(options.plan, encoding="utf8") as file:
        plan = json.load(file)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(options).connected(options.url, options.token_file))
        kept = await stack.enter_async_context(Client(options).connected(options.plain_url, options.plain_token_file))
        rows = Rows(options, plan, client, kept)
        for row, need in NEEDS.items():
            if need in plan and not is_foreign(row, client, options):
                print(json.dumps({"row": row, "cell": await rows.cell(row)}), flush=True)
        # The authority is gone: closing in order could only fail.
        sys.stdout.flush()
        os._exit(0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("client", "plan", "url", "token-file", "plain-url", "plain-token-file", "record", "denial", "stop"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
