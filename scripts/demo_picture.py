#!/usr/bin/env python3
"""Draws what `writ demo` prints as an animated picture, or checks that the picture still shows it.

    writ demo 2>&1 | scripts/demo_picture.py > docs/pictures/demo.svg
    writ demo 2>&1 | scripts/demo_picture.py --check docs/pictures/demo.svg

Lines appear one after the other, as in a terminal; whoever prefers less motion sees them at once. Ids, digests, times
and ports differ from run to run and do not count for the check.
"""

import html
import re
import sys

WIDTH = 118
LINE_HEIGHT = 19
SECONDS = 22
COLOURS = {"ALLOW": "#3fb950", "DENY": "#f85149", "holds": "#58a6ff"}
VARYING = re.compile(r"before that answer was there|[\d.]+\w+ after that|tsk_\w+|[0-9a-f]{8,}(?:\.\.\.)?|[\w-]{43}|/tmp/\S+|\d+(?:\.\d+)?\s?(?:ns|µs|us|ms|s)\b|:\d{4,5}|\d+ records"
                     r"|\d+ calls allowed|line \d+, record \d+|\d+ denied")


def lines_of(text: str) -> list[str]:
    """The lines that are shown: long ones are cut, what differs from run to run stays as it was in this one."""
    shown = [line.rstrip() for line in text.splitlines()]
    return [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in shown]


def drawn(lines: list[str]) -> str:
    height = LINE_HEIGHT * (len(lines) + 3)
    step = SECONDS / max(len(lines), 1)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * 8 + 40} {height}" role="img"'
        ' aria-label="What writ demo prints">',
        "<style>text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#c9d1d9;white-space:pre}"
        "g{opacity:0;animation:show .2s forwards}@keyframes show{to{opacity:1}}"
        "@media (prefers-reduced-motion:reduce){g{opacity:1;animation:none}}</style>",
        '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
        f'<text x="20" y="{LINE_HEIGHT + 6}" fill="#8b949e">$ make demo</text>',
    ]
    for number, line in enumerate(lines):
        if not line:
            continue
        y = LINE_HEIGHT * (number + 2) + 10
        out.append(f'<g style="animation-delay:{number * step:.1f}s"><text x="20" y="{y}">{spans(line)}</text></g>')
    out.append("</svg>\n")
    return "\n".join(out)


def spans(line: str) -> str:
    word = line.split()[0]
    text = html.escape(line)
    if word in COLOURS:
        return text.replace(word, f'<tspan font-weight="bold" fill="{COLOURS[word]}">{word}</tspan>', 1)
    if re.match(r"\s?\d", line):
        return f'<tspan font-weight="bold">{text}</tspan>'
    return f'<tspan fill="#8b949e">{text}</tspan>' if line.startswith("   ") else text


def steady(lines: list[str]) -> list[str]:
    # What was cut may begin with something that varies; the part before it is enough.
    return [VARYING.sub("*", line.rstrip("…"))[:60] for line in lines if line]


def main() -> int:
    lines = lines_of(sys.stdin.read())
    if sys.argv[1:2] != ["--check"]:
        sys.stdout.write(drawn(lines))
        return 0
    with open(sys.argv[2], encoding="utf-8") as file:
        texts = re.findall(r"<g [^>]*><text [^>]*>(.*)</text></g>", file.read())
    shown = [html.unescape(re.sub(r"<[^>]+>", "", text)) for text in texts]
    if steady(shown) == steady(lines):
        return 0
    for old, new in zip(steady(shown), steady(lines)):
        if old != new:
            print(f"the picture shows `{old}`, the demo prints `{new}`; draw it anew", file=sys.stderr)
            return 1
    print("the picture shows another number of lines than the demo prints; draw it anew", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
