"""Answers stream, are kept, are stopped, asked again and edited; a broken server costs nothing that was said."""

from __future__ import annotations

import asyncio

from benlab_tui.widgets.prompt import Prompt
from benlab_tui.widgets.reply import Reply
from benlab_tui.widgets.turns import ReplyTurn
from pipeline.errors import ChatError


async def test_an_answer_streams_as_markdown_and_is_there_after_a_restart(lab, engine, console, typed, shown):
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "what is TRI?")
        assert shown(app) == [("UserTurn", "what is TRI?"), ("ReplyTurn", "**TRI** is a distance.")]
        assert app.main.query_one(Reply).query("MarkdownParagraph").first()._content.plain == "TRI is a distance."
        under = str(app.main.query_one(ReplyTurn).query_one(".under").render())
        assert "42 tokens/s" in under
        assert "context 124 of 4,096 tokens" in under
    assert engine.closed
    async with console(lab, engine) as (app, pilot):
        assert shown(app) == [("UserTurn", "what is TRI?"), ("ReplyTurn", "**TRI** is a distance.")]
        await pilot.press("up")
        assert app.main.query_one(Prompt).text == "what is TRI?"


async def test_the_engine_gets_the_conversation_in_turns(lab, scripted, console, typed):
    engine = scripted("one", "two")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "first")
        await typed(app, pilot, "/theme nord")
        await typed(app, pilot, "second")
    assert engine.seen[-1] == [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "second"},
    ]


async def test_escape_stops_the_answer_and_keeps_what_came(lab, scripted, console, settled, shown):
    engine = scripted(["so far ", *["more "] * 2000], pause=0.01)
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*"go", "enter")
        await asyncio.sleep(0.4)
        assert app.main.chat.busy
        await pilot.press("escape")
        await settled(app)
        assert shown(app)[-1][1].startswith("so far more")
        stored = app.main.stored()[-1]
        assert stored.content.startswith("so far more")
        assert stored.meta["partial"] is True


async def test_a_server_that_goes_in_the_middle_leaves_the_partial_answer_and_one_key_to_go_on(
    lab, scripted, console, typed, shown, settled
):
    engine = scripted(["half an ", ChatError("the server closed the connection: ask again")], "whole")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "go")
        assert [kind for kind, _ in shown(app)] == ["UserTurn", "ReplyTurn", "NoteTurn"]
        assert app.main.stored()[1].meta["partial"] is True
        await pilot.press("ctrl+r")
        await settled(app)
        assert shown(app) == [("UserTurn", "go"), ("ReplyTurn", "whole")]


async def test_no_model_is_said_with_the_key_that_mends_it_and_commands_still_work(lab, console, typed, shown):
    async with console(lab) as (app, pilot):
        assert "no model is here" in app.main.query_one("#top").engine
        await typed(app, pilot, "hello")
        assert "press f4 to pull smollm2" in shown(app)[-1][1]
        await typed(app, pilot, "/theme nord")
        assert shown(app)[-1][1] == "the theme is nord"


async def test_a_question_is_edited_and_an_answer_asked_again(lab, scripted, console, typed, shown, settled):
    engine = scripted("one", "two", "three")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "first")
        await pilot.press("ctrl+up", "r")
        await settled(app)
        assert shown(app) == [("UserTurn", "first"), ("ReplyTurn", "two")]
        await pilot.press("ctrl+up", "up", "e")
        await settled(app)
        assert shown(app) == []
        assert app.main.query_one(Prompt).text == "first"
        await typed(app, pilot, " again")
        assert shown(app) == [("UserTurn", "first again"), ("ReplyTurn", "three")]


async def test_a_slash_begun_on_an_answer_lands_in_the_prompt(lab, scripted, console, typed, shown):
    async with console(lab, scripted("one")) as (app, pilot):
        await typed(app, pilot, "first")
        await pilot.press("ctrl+up", "slash", "h", "e", "l", "p")
        prompt = app.main.query_one(Prompt)
        assert prompt.has_focus and prompt.text == "/help"
        assert shown(app) == [("UserTurn", "first"), ("ReplyTurn", "one")]


async def test_a_question_begun_on_an_answer_lands_in_the_prompt(lab, scripted, console, typed, shown):
    """Its first letter is no key of the answer's."""
    async with console(lab, scripted("one")) as (app, pilot):
        await typed(app, pilot, "first")
        await pilot.press("ctrl+up", "H", "o", "w", "question_mark")
        prompt = app.main.query_one(Prompt)
        assert prompt.has_focus and prompt.text == "How?"
        assert shown(app) == [("UserTurn", "first"), ("ReplyTurn", "one")]


async def test_a_slash_shows_the_prompt_that_a_narrow_screen_hides(lab, scripted, console, typed):
    async with console(lab, scripted("one"), size=(80, 24)) as (app, pilot):
        await typed(app, pilot, "first")
        await pilot.press("ctrl+up", "ctrl+l", "slash")
        prompt = app.main.query_one(Prompt)
        assert prompt.has_focus and prompt.text == "/" and not app.main.has_class("-lab-turned")


async def test_escapes_and_html_in_an_answer_are_inert(lab, scripted, console, typed):
    engine = scripted("a\x1b[31mred\x1b]0;title\x07 <b>x</b> \x9b2J \u202eflip")
    async with console(lab, engine) as (app, pilot):
        await typed(app, pilot, "go")
        plain = app.main.query_one(Reply).query("MarkdownParagraph").first()._content.plain
        assert plain == "a␛[31mred␛]0;title␇ <b>x</b> �2J �flip"
        assert "\x1b" not in app.export_screenshot()


async def test_a_server_elsewhere_is_named_and_asked_about_once(lab, scripted, console, pytestconfig, shown, settled):
    engine = scripted("far away")
    engine.is_remote, engine.label = True, "ollama at lab.example · ben-lab"
    async with console(lab, engine) as (app, pilot):
        await pilot.press(*"hello", "enter")
        await asyncio.sleep(0.3)
        assert "lab.example is not on" in str(app.screen.query("Static").first().render()).replace(" ·", " is not on")
        await pilot.press("n")
        await settled(app)
        assert engine.seen == []
        await pilot.press(*"again", "enter")
        await asyncio.sleep(0.3)
        await pilot.press("y")
        await settled(app)
        await pilot.press(*"more", "enter")
        await settled(app)
        assert len(engine.seen) == 2


async def test_a_long_session_shows_a_window_and_fetches_the_rest_on_scrolling(lab, engine, console):
    from pipeline.chats import Chats

    chats = Chats(lab.database)
    session = chats.start("long")
    for index in range(300):
        chats.add(session.id, "user" if index % 2 == 0 else "assistant", f"message {index}")
    chats.close()
    async with console(lab, engine) as (app, pilot):
        transcript = app.main.transcript
        assert transcript.children[-1].text == "message 299"
        first = transcript.first
        for _ in range(8):
            transcript.scroll_home(animate=False)
            await pilot.pause(0.1)
        assert transcript.first < first
        assert transcript.last is not None
        for _ in range(400):
            transcript.scroll_end(animate=False)
            await pilot.pause(0.05)
            if transcript.last is None:
                break
        assert transcript.children[-1].text == "message 299"
        assert len(transcript.children) <= 48 + 16


async def test_a_model_that_cannot_be_opened_leaves_the_former_in_use(lab, engine, console, typed, shown):
    async with console(lab, engine) as (app, pilot):
        usual = app.main.engines._opener

        async def opener(lab, model):
            if model == "soup":
                raise ChatError("no engine here has the model 'soup': run `benlab pull smollm2`")
            return await usual(lab, model)

        app.main.engines._opener = opener
        await typed(app, pilot, "/model base")
        await typed(app, pilot, "/model soup")
        assert shown(app)[-1] == ("NoteTurn", "no engine here has the model 'soup': run `/pull smollm2`")
        assert app.main.engines.model == app.chats.recall("model") == "base"
        assert app.main.query_one("#top").engine == engine.label
