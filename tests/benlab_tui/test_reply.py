"""Answers as markdown: lists and tables as one widget each, at any width, and the same streamed as at once."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.widgets.markdown import MarkdownFence

from benlab_tui.widgets.flat import FlatBulletList, FlatTable, column_widths
from benlab_tui.widgets.reply import Reply

LIST = """Before.

- first **bold** item that is long enough to be wrapped in a narrow column of forty cells
- second
  1. inner one
  2. inner two
- third

| name | value |
|---|---|
| string order | 0.97 |
| a long name that has to give way to the narrow column here | 1 |

After."""


class Page(App[None]):
    def __init__(self, text=""):
        super().__init__()
        self.reply = Reply(text)

    def compose(self):
        yield self.reply


def screen_of(app):
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


async def test_items_hang_beside_their_bullets_and_cells_stay_in_their_columns():
    app = Page(LIST)
    async with app.run_test(size=(40, 30)) as pilot:
        await pilot.pause()
        lines = [line for line in screen_of(app) if line.strip()]
    assert all(len(line) <= 40 for line in lines)
    joined = "\n".join(lines)
    first = next(number for number, line in enumerate(lines) if "first bold" in line)
    indent = len(lines[first]) - len(lines[first].lstrip(" •"))
    assert lines[first + 1].startswith(" " * indent)
    assert "1. inner one" in joined
    assert "2. inner two" in joined
    rows = [line for line in lines if "│" in line]
    assert len({line.index("│") for line in rows}) == 1
    assert "".join("".join(line.split("│")[0].split()) for line in rows[2:]).startswith("alongname")


@pytest.mark.parametrize("size", [(40, 30), (100, 30), (9, 60), (1, 30)])
async def test_a_streamed_answer_looks_like_one_shown_at_once(size):
    whole, streamed = Page(LIST), Page()
    async with whole.run_test(size=size) as pilot:
        await pilot.pause()
        expected = screen_of(whole)
    async with streamed.run_test(size=size) as pilot:
        for start in range(0, len(LIST), 7):
            await streamed.reply.append(LIST[start : start + 7])
        await pilot.pause()
        assert screen_of(streamed) == expected


async def test_a_list_with_code_inside_keeps_its_widgets():
    app = Page("- item\n\n  ```python\n  x = 1\n  ```\n- more")
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert len(app.query(MarkdownFence)) == 1
        assert "x = 1" in "\n".join(screen_of(app))


async def test_long_lists_and_tables_are_one_widget_each():
    text = "\n".join(f"- item {i}" for i in range(200)) + "\n\n| a | b |\n|---|---|\n"
    app = Page(text + "\n".join(f"| {i} | {i} |" for i in range(200)))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert [type(child) for child in app.reply.walk_children()] == [FlatBulletList, FlatTable]
        assert app.reply.size.height >= 400


async def test_a_link_in_a_list_is_asked_about_and_not_opened():
    seen = []

    class Links(Page):
        def on_markdown_link_clicked(self, event):
            seen.append(event.href)

    app = Links("- see [there](https://example.org)")
    async with app.run_test(size=(60, 5)) as pilot:
        await pilot.pause()
        line = screen_of(app)[app.reply.query_one(FlatBulletList).region.y]
        await pilot.click(offset=(line.index("there") + 1, app.reply.query_one(FlatBulletList).region.y))
        await pilot.pause()
    assert seen == ["https://example.org"]


def test_the_widest_columns_give_way_first():
    from textual.content import Content

    row = [Content("x" * 50), Content("y" * 10), Content("z" * 30)]
    assert column_widths([row], 96) == [50, 10, 30]
    sizes = column_widths([row], 46)
    assert sum(sizes) + 6 <= 46
    assert sizes[1] == 10
    assert min(column_widths([row], 1)) == 3
