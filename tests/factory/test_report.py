"""The Markdown report: the facts of a run as a step summary, which no agent can format."""

import re

from factory.views.documents import report_document
from factory.views.report import markdown
from stations.contract import Failed
from tests.factory.planted import Tale, job

SUMMARY = """\
### run r1 onto main: 1 dead, 1 landed

8.0 s, 2.0 s of station time, 0 tokens, 0.00 USD

too early to say what limits the line: 1 job landed; api was busy longest, 8.0 s

| job | state | tries | time | what |
| --- | --- | --- | --- | --- |
| cart | landed | 1 | 7.0 s | Do cart |
| price | **gave up** | 1 | 8.0 s | it broke |

**price**: Do price

    E assert 3 == 4

| station | seats | busy | waiting | idle | visits | P |
| --- | --- | --- | --- | --- | --- | --- |
| api | 1 | 8.0 s | 0.0 s | 0.0 s | 2 | - |
| gate | 1 | 2.0 s | 0.0 s | 6.0 s | 2 | - |
| tests | 1 | 3.0 s | 0.0 s | 5.0 s | 1 | - |"""


def test_the_markdown_report_holds_jobs_failures_and_stations() -> None:
    """A run with one landed and one failed job, as it appears in a CI step summary."""
    tale = Tale(job("cart"), job("price"), seats=1)
    tale.done("cart", after=2).compose().test(after=3).compose(known=True).land()
    tale.finish("price", Failed(fault="it broke", tail="E   assert 3 == 4\n"))

    assert markdown(report_document(tale.line, tale.records())) == SUMMARY


def test_agents_text_cannot_format_the_report() -> None:
    """Tables, links, HTML, headings and code fences in an agent's words are shown as written."""
    hostile = "a | b <script>x</script> [l](http://x) `c` **d**\n# e\n```\n\x1b[2J"
    tale = Tale(job("a", title=hostile))
    tale.finish("a", Failed(fault=hostile, tail=hostile))

    said = markdown(report_document(tale.line, tale.records()))

    table = [line for line in said.splitlines() if line.startswith("| a |")]
    assert len(table) == 1
    assert len(re.findall(r"(?<!\\)\|", table[0])) == 6
    outside = "\n".join(line for line in said.splitlines() if not line.startswith("    "))
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[l|(?<!\\)`", outside)
    assert not re.search(r"^(#+ e|```)", said, re.MULTILINE)
    assert "\x1b" not in said
