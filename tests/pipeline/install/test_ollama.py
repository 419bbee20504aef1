"""Install into Ollama: each range of versions, each step failing in each way, and the old model always kept."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.bases import Base
from pipeline.bases.template import render
from pipeline.chat import open_engine
from pipeline.chat.decoding import parameters
from pipeline.chat.tool_text import as_turns, tools_text, with_system_text
from pipeline.errors import InstallError
from pipeline.install import ollama_receipt, receipt
from pipeline.install.embedded import Job
from pipeline.install.ollama import install_ollama
from pipeline.install.ollama_server import OllamaServer, takes_adapters, version_numbers
from pipeline.install.params import InstallParams
from pipeline.install.reference import Reference
from pipeline.install.registry import OWN_TEMPLATE, Registry, Version
from pipeline.install.stage import run
from pipeline.install.stored import shown_parameters
from pipeline.install.template import go_template
from pipeline.install.versions import catch_up, lagging, list_versions, remove, rollback, use
from pipeline.lab import Lab
from pipeline.modelfile import Modelfile, load, parse
from simulator.events import Note, Progress, last_result

OLD = "the model that was there before"
TAG = "ben-lab:20260101-000000-train-test"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, reference: Reference) -> None:
    """Receipts of three prompts and eight tokens, with training's model loaded once for all tests."""
    monkeypatch.setattr(receipt, "_PROMPTS", receipt._PROMPTS[:3])
    for module in (receipt, ollama_receipt):
        monkeypatch.setattr(module, "Reference", lambda *_: reference)
        monkeypatch.setattr(module, "TOKENS", 8)


@pytest.fixture
def job(lab_with_base: Lab, base: Base, small_adapter: Path) -> Job:
    run_folder = lab_with_base.new_run("install")
    return Job(lab_with_base, "ben-lab", small_adapter, base, load(), run_folder)


@pytest.fixture
def version(job: Job, small_adapter_gguf: Path) -> Version:
    """As the embedded install would leave it, without its receipt."""
    folder = Registry(job.lab).folder_of(job.version)
    folder.mkdir(parents=True)
    shutil.copy(small_adapter_gguf, folder / "adapter.gguf")
    adapter = f"models/ben-lab/{folder.name}/adapter.gguf"
    return Version(job.version, adapter, job.base.name, job.base.sha256, "now", job.run)


def with_old(server: Any, base: Base) -> Any:
    """A server that has a ben-lab already, and holds the base's bytes."""
    server.add_blob(base.path, base.sha256)
    server.add_model("ben-lab", "0" * 64, system=OLD)
    return server


@pytest.mark.parametrize(("running", "form"), [("0.5.5", "adapter"), ("0.32.15", "adapter"), ("0.34.1", "merged")])
def test_each_range_of_versions_gets_what_it_takes_and_a_receipt(
    running: str,
    form: str,
    quick: None,
    contract: Callable[..., Any],
    lab_with_base: Lab,
    small_adapter: Path,
    base: Base,
) -> None:
    server = with_old(contract(version=running, engine=True), base)
    params = InstallParams(target="ollama", adapter=str(small_adapter), ollama_host=server.url)
    value = last_result(run(lab_with_base, params))
    assert value["ollama"]["form"] == form and value["current"]
    assert value["receipt"]["passed"] and value["ollama"]["receipt"]["passed"]
    assert value["ollama"]["receipt"]["prompts_equal"] == 3
    assert server.models["ben-lab"] is server.models[TAG]
    assert server.models["ben-lab"]["system"] == load().system
    assert server.models["ben-lab"]["parameters"] == parameters(load(), base)
    assert server.capabilities(server.models["ben-lab"]) == ["completion", "tools"]
    stored = value["ollama"]["stored"]
    made = server.models[TAG]
    assert [f"sha256:{digest}" for digest in stored.values()] == [*made["files"], *made["adapters"]]
    assert (stored["base"] == base.sha256) == (running == "0.5.5")
    assert bool(server.models["ben-lab"]["adapters"]) == (form == "adapter")
    assert f"sha256:{base.sha256}" not in server.uploaded
    assert not list(lab_with_base.runs.rglob("*merged*"))
    assert list_versions(lab_with_base)[0]["current"]


def test_an_older_server_is_asked_to_be_upgraded(contract: Callable[..., Any], job: Job, version: Version) -> None:
    server = with_old(contract(version="0.5.4-0-g7499dda"), job.base)
    with pytest.raises(InstallError, match=r"older than 0\.5\.5: upgrade"):
        list(install_ollama(job, version, OllamaServer(server.url)))
    assert server.requests == ["version"]


@pytest.mark.parametrize(
    ("step", "how", "words"),
    [
        ("version", "reset", "asking for the version"),
        ("version", "html", "is not an Ollama server"),
        ("version", "html 200", "is not an Ollama server"),
        ("head", "reset", "looking for a blob"),
        ("head", "500", "answered 500"),
        ("blob", "reset", "sending a blob"),
        ("blob", "500", "refused the blob"),
        ("blob", "full", "make room on the disk"),
        ("blob", "half", "sending a blob"),
        ("blob", "wrong digest", "digest mismatch"),
        ("create", "reset", "creating"),
        ("create", "500", "something broke inside"),
        ("create", "html", "creating"),
        ("create", "html 200", "not Ollama's"),
        ("create", "error line", "unsupported architecture"),
        ("create", "half", "creating"),
        ("create", "no success", "stopped creating"),
        ("create", "forget adapter", "without adapter.gguf"),
        ("create", "forget base", "without SmolLM2"),
        ("show", "reset", "looking at"),
        ("show", "500", "looking at"),
        ("show", "wrong digest", "without adapter.gguf"),
        ("chat", "reset", "a first word"),
        ("chat", "500", "a first word"),
    ],
)
def test_a_failure_at_any_step_is_named_and_keeps_the_old_model(
    step: str, how: str, words: str, contract: Callable[..., Any], job: Job, version: Version
) -> None:
    server = with_old(contract(), job.base)
    server.failures[step] = how
    with pytest.raises(InstallError, match=words) as raised:
        list(install_ollama(job, version, OllamaServer(server.url)))
    assert "\n" not in str(raised.value)
    assert server.models["ben-lab"]["system"] == OLD
    if step not in ("create", "show") or how not in ("reset", "500"):
        assert TAG not in server.models
    assert Registry(job.lab).versions() == []
    server.failures.clear()
    list(install_ollama(job, version, OllamaServer(server.url)))
    assert TAG in server.models


def test_a_failed_naming_keeps_the_old_version_everywhere(
    quick: None, contract: Callable[..., Any], lab_with_base: Lab, small_adapter: Path, base: Base
) -> None:
    server = with_old(contract(engine=True), base)
    server.failures["copy"] = "500"
    params = InstallParams(target="ollama", adapter=str(small_adapter), ollama_host=server.url)
    with pytest.raises(InstallError, match="naming ben-lab"):
        list(run(lab_with_base, params))
    assert server.models["ben-lab"]["system"] == OLD
    assert Registry(lab_with_base).current() is None


def test_an_upload_that_breaks_once_is_tried_again(contract: Callable[..., Any], job: Job, version: Version) -> None:
    server = with_old(contract(), job.base)
    server.failures["blob"] = "half once"
    list(install_ollama(job, version, OllamaServer(server.url)))
    assert server.requests.count("blob") == 2 and len(server.uploaded) == 1


def test_a_slow_server_is_waited_for_and_its_statuses_are_shown(
    contract: Callable[..., Any], job: Job, version: Version
) -> None:
    server = with_old(contract(), job.base)
    server.failures["create"] = "drip"
    events = list(install_ollama(job, version, OllamaServer(server.url)))
    said = [event.text for event in events if isinstance(event, Note)]
    assert "Ollama: parsing GGUF" in said and "Ollama: success" in said
    sent = [event for event in events if isinstance(event, Progress) and event.stage == "upload"]
    assert sent[-1].done == sent[-1].total


def test_an_interrupted_install_goes_on_where_it_broke(
    contract: Callable[..., Any], job: Job, version: Version
) -> None:
    server = with_old(contract(), job.base)
    for event in install_ollama(job, version, OllamaServer(server.url)):
        if isinstance(event, Note) and "parsing" in event.text:
            break  # closing the generator is what a cancelled job does
    assert server.models["ben-lab"]["system"] == OLD and TAG not in server.models
    before = list(server.uploaded)
    list(install_ollama(job, version, OllamaServer(server.url)))
    assert server.uploaded == before


def test_a_base_from_ollama_is_pulled_by_its_tag_and_used_where_its_bytes_are_the_same(
    contract: Callable[..., Any], job: Job, version: Version
) -> None:
    import dataclasses

    tagged = dataclasses.replace(job, base=dataclasses.replace(job.base, source="ollama smollm2:135m"))
    server = contract()
    server.add_blob(job.base.path, job.base.sha256)
    server.add_model("remote", job.base.sha256, license="Apache", parameters={"stop": '"<|im_end|>"', "top_p": 0.5})
    list(install_ollama(tagged, version, OllamaServer(server.url)))
    made = server.models[TAG]
    assert "pull" in server.requests and made["license"] == "Apache"
    assert made["parameters"] == parameters(load(), job.base) and made["parameters"]["top_p"] == 0.9
    server.failures["pull"] = "missing"
    del server.models["smollm2:135m"]
    with pytest.raises(InstallError, match="check the tag's spelling"):
        list(install_ollama(tagged, version, OllamaServer(server.url)))


def test_other_bytes_under_the_tag_are_not_trusted(contract: Callable[..., Any], job: Job, version: Version) -> None:
    import dataclasses

    tagged = dataclasses.replace(job, base=dataclasses.replace(job.base, source="ollama smollm2:135m"))
    server = contract()
    server.add_blob(job.base.path, job.base.sha256)
    server.add_model("smollm2:135m", "1" * 64)
    events = list(install_ollama(tagged, version, OllamaServer(server.url)))
    assert any("other bytes" in event.text for event in events if isinstance(event, Note))
    assert server.blob(server.models[TAG]["files"][0]).resolve() == job.base.path.resolve()


@pytest.mark.parametrize(
    "system", ['He said """no"""\nand left', 'a line that ends in """\nthen more', "tabs\tand\nbreaks", 'quote"']
)
def test_any_system_text_arrives_as_it_is(
    system: str, contract: Callable[..., Any], job: Job, version: Version
) -> None:
    import dataclasses

    server = with_old(contract(), job.base)
    odd = dataclasses.replace(job, modelfile=Modelfile("x", system=system))
    list(install_ollama(odd, version, OllamaServer(server.url)))
    assert server.models[TAG]["system"] == system


def test_a_name_that_ollama_refuses_is_said(contract: Callable[..., Any], job: Job, version: Version) -> None:
    import dataclasses

    server = with_old(contract(), job.base)
    with pytest.raises(InstallError, match="invalid model name; use letters"):
        list(install_ollama(job, dataclasses.replace(version, version="bad name!"), OllamaServer(server.url)))


def test_no_server_is_a_sentence(job: Job, version: Version) -> None:
    with pytest.raises(InstallError, match="does not answer"):
        list(install_ollama(job, version, OllamaServer("127.0.0.1:9")))


@pytest.mark.parametrize(
    ("text", "architecture", "takes"),
    [
        ("0.5.5", "llama", True),
        ("0.34.0", "phi3", True),
        ("0.34.1-rc0", "llama", False),
        ("0.29.9", "gemma3", False),
        ("0.30.0", "gemma3", True),
        ("0.33.0", "phi2", False),
        ("1.0.0", "llama", False),
    ],
)
def test_who_takes_adapters(text: str, architecture: str, takes: bool) -> None:
    assert takes_adapters(text, architecture) is takes


def test_a_version_is_read_from_any_suffix() -> None:
    assert version_numbers("0.5.4-0-g7499dda-dirty") == (0, 5, 4)
    assert version_numbers("nightly") == version_numbers("0.0.0") == ()


@pytest.mark.parametrize("running", ["0.0.0", "main", "0.33.0"])
@pytest.mark.parametrize("how", ["", "no adapters"])
def test_a_server_that_takes_no_adapters_gets_a_merged_model_whatever_its_version(
    how: str, running: str, contract: Callable[..., Any], job: Job, version: Version
) -> None:
    server = with_old(contract(version=running), job.base)
    server.failures["create"] = how
    steps = list(install_ollama(job, version, OllamaServer(server.url)))
    assert bool(server.models[TAG]["adapters"]) == (not how)
    assert any(isinstance(step, Note) and "merged into it" in step.text for step in steps) == bool(how)
    assert not list(job.run_folder.glob("*merged*"))


def test_a_server_that_passes_over_the_template_is_not_sent_results_in_its_role(
    contract: Callable[..., Any], job: Job, version: Version
) -> None:
    server = with_old(contract(version="0.32.15"), job.base)
    facts = last_value(install_ollama(job, version, OllamaServer(server.url)))
    assert replace(version, tools="tri", servers=[facts]).renders_results(server.url)
    server.gguf_template = lambda messages: "".join(f"<{one['role']}>{one['content']}" for one in messages)
    facts = last_value(install_ollama(job, version, OllamaServer(server.url)))
    assert facts["template"] == "the server's"
    assert not replace(version, tools="tri", servers=[facts]).renders_results(server.url)


def last_value(steps: Generator[Any, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("stop", ["a b", 'c"d', "x\\y", "\n\n", "ü<&>", "\t#", "User:"])
def test_a_stop_string_is_read_back_as_it_was_sent(stop: str) -> None:
    """`/api/show` prints values as Go's %#v does; json.dumps escapes these alike."""
    shown = (
        f"num_ctx                        4096\nstop                           {json.dumps(stop, ensure_ascii=False)}"
    )
    assert shown_parameters(shown) == {"num_ctx": 4096, "stop": [stop]}
    assert shown_parameters(shown + '\nstop "b"')["stop"] == [stop, "b"]


def test_an_upload_that_fails_leaves_the_tag_of_an_earlier_install(
    contract: Callable[..., Any], job: Job, version: Version
) -> None:
    server = with_old(contract(), job.base)
    list(install_ollama(job, version, OllamaServer(server.url)))
    server.failures["head"] = "reset"
    with pytest.raises(InstallError, match="looking for a blob"):
        list(install_ollama(job, version, OllamaServer(server.url)))
    assert TAG in server.models


def test_versions_are_chosen_rolled_back_and_removed_on_ollama_too(
    contract: Callable[..., Any], lab: Lab, base: Base
) -> None:
    server = contract()
    registry = Registry(lab)
    for name in ("one", "two"):
        server.add_model(f"ben-lab:{name}", base.sha256, system=name)
        (registry.folder / name).mkdir(parents=True)
        version = Version(
            f"ben-lab:{name}",
            f"models/ben-lab/{name}/adapter.gguf",
            "smollm2",
            base.sha256,
            "now",
            name,
            physics_version="old",
            servers=[{"host": server.url}],
        )
        registry.add(version)
    assert [row["current"] for row in list_versions(lab)] == [True, False]
    assert "trained on physics old" in list_versions(lab)[0]["warning"]
    assert rollback(lab).version == "ben-lab:one" and server.models["ben-lab"]["system"] == "one"
    assert use(lab, "ben-lab:two").version == "ben-lab:two" and server.models["ben-lab"]["system"] == "two"
    with pytest.raises(InstallError, match="is the one in use"):
        remove(lab, "two")
    remove(lab, "ben-lab:one")
    assert "ben-lab:one" not in server.models and not (registry.folder / "one").exists()
    with pytest.raises(InstallError, match="no version before"):
        rollback(lab)
    remove(lab, "ben-lab:two")  # the only one: its names go from the server too
    assert not server.models and registry.current() is None and lagging(lab) == []


def two_versions(lab: Lab, *servers: Any) -> Registry:
    """A lab whose versions one and two are on all the servers; two is in use."""
    registry = Registry(lab)
    for name in ("one", "two"):
        (registry.folder / name).mkdir(parents=True)
        for server in servers:
            server.add_model(f"ben-lab:{name}", "0" * 64, system=name)
            server.add_model("ben-lab", "0" * 64, system=name)
        adapter = f"models/ben-lab/{name}/adapter.gguf"
        hosts = [{"host": server.url} for server in servers]
        registry.add(Version(f"ben-lab:{name}", adapter, "smollm2", "x", "now", name, servers=hosts))
    return registry


@pytest.mark.parametrize("how", ["reset", "500"])
def test_a_server_that_is_down_does_not_keep_a_version_from_answering(
    how: str, contract: Callable[..., Any], lab: Lab
) -> None:
    up, down = contract(), contract()
    registry = two_versions(lab, up, down)
    down.failures["copy"] = how
    assert rollback(lab).version == "ben-lab:one" and registry.current() == registry.named("one")
    assert (up.models["ben-lab"]["system"], down.models["ben-lab"]["system"]) == ("one", "two")
    assert len(lagging(lab)) == 1
    assert f"{down.url} did not answer: ben-lab still stands for the former version" in lagging(lab)[0]
    assert use(lab, "two").version == "ben-lab:two" and use(lab, "one").version == "ben-lab:one"
    assert len(lagging(lab)) == 1
    down.failures.clear()
    list_versions(lab)  # whatever asks for the versions next tells the server
    assert down.models["ben-lab"]["system"] == "one" and lagging(lab) == []


def test_removing_clears_every_server_and_says_which_it_did_not_reach(contract: Callable[..., Any], lab: Lab) -> None:
    up, down = contract(), contract()
    registry = two_versions(lab, up, down)
    down.failures["delete"] = "reset"
    remove(lab, "one")
    assert "ben-lab:one" not in up.models and "ben-lab:one" in down.models
    assert lagging(lab) == [
        f"{down.url} did not answer: ben-lab:one is still there; it is deleted when the server is back"
    ]
    remove(lab, "two")
    assert up.models == {} and registry.versions() == [] and len(lagging(lab)) == 3
    down.failures.clear()
    catch_up(lab)
    assert down.models == {} and lagging(lab) == []


def test_a_bare_name_that_has_become_another_labs_stays_when_the_last_version_goes(
    contract: Callable[..., Any], lab: Lab
) -> None:
    server = contract()
    two_versions(lab, server)
    server.add_model("ben-lab:theirs", "1" * 64, system="theirs")
    server.models["ben-lab"] = server.models["ben-lab:theirs"]
    remove(lab, "one")
    server.failures["delete"] = "reset"
    remove(lab, "two")
    assert len(lagging(lab)) == 1  # the bare name is looked at, and left; the tag could not be deleted
    server.failures.clear()
    catch_up(lab)
    assert set(server.models) == {"ben-lab", "ben-lab:theirs"} and lagging(lab) == []


def test_a_version_that_is_installed_again_is_not_deleted_by_what_was_still_to_be_told(
    quick: None, contract: Callable[..., Any], lab_with_base: Lab, small_adapter: Path, base: Base
) -> None:
    server = with_old(contract(engine=True), base)
    params = InstallParams(target="ollama", adapter=str(small_adapter), ollama_host=server.url)
    last_result(run(lab_with_base, params))
    server.failures["delete"] = "reset"
    remove(lab_with_base, TAG)
    assert TAG in server.models and lagging(lab_with_base)
    last_result(run(lab_with_base, params))
    server.failures.clear()
    list_versions(lab_with_base)
    assert TAG in server.models and lagging(lab_with_base) == []


def test_a_server_that_is_silent_does_not_hold_up_a_list(
    contract: Callable[..., Any], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.install import versions

    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        registry = two_versions(lab)
        registry.update("one", servers=[{"host": host}])
        monkeypatch.setattr(versions, "_PATIENCE", 0.2)
        began = time.monotonic()
        assert use(lab, "one").version == "ben-lab:one" and len(lagging(lab)) == 1
        assert time.monotonic() - began < 10


def test_a_tag_that_the_server_has_lost_is_forgotten(contract: Callable[..., Any], lab: Lab) -> None:
    server = contract()
    registry = two_versions(lab, server)
    server.models.clear()
    use(lab, "one")
    assert lagging(lab) == [] and registry.named("one").servers == []


def test_a_registry_of_before_remembers_its_server(lab: Lab) -> None:
    registry = two_versions(lab)
    data = json.loads(registry.path.read_text())
    for entry in data["versions"]:
        del entry["servers"]
        entry["ollama"] = {"host": "http://127.0.0.1:9", "server": "0.24.0"}
    data.pop("pending")
    registry.path.write_text(json.dumps(data))
    assert registry.named("two").on("http://127.0.0.1:9") == {"host": "http://127.0.0.1:9", "server": "0.24.0"}
    assert registry.named("two").on("http://127.0.0.1:8") is None and registry.pending() == []


def test_a_list_shows_servers_of_which_little_is_known(lab: Lab) -> None:
    from benlab_tui.commands.models import _lines

    registry = two_versions(lab)
    servers = [
        {"host": "http://127.0.0.1:9"},
        {"host": "http://127.0.0.1:8", "server": "0.24.0", "form": "adapter", "receipt": {"passed": True}},
        {"host": "http://127.0.0.1:7", "server": "main", "receipt": "x"},
    ]
    registry.update("two", servers=servers, scores={"perplexity": {"tuned": {"score": 1}}})
    shown = "\n".join(_lines(list_versions(lab)[0]))
    assert "http://127.0.0.1:9 (Ollama of unknown version): no receipt" in shown
    assert "http://127.0.0.1:8 (Ollama 0.24.0, adapter): a receipt that cannot be read" in shown
    assert "http://127.0.0.1:7 (Ollama main): a receipt that cannot be read" in shown


def test_a_second_server_does_not_push_out_the_first(
    quick: None, contract: Callable[..., Any], lab_with_base: Lab, small_adapter: Path, base: Base
) -> None:
    servers = [with_old(contract(version=running, engine=True), base) for running in ("0.33.0", "0.34.1")]
    for server in servers:
        params = InstallParams(target="ollama", adapter=str(small_adapter), ollama_host=server.url)
        last_result(run(lab_with_base, params))
    row = list_versions(lab_with_base)[0]
    assert [(one["host"], one["form"]) for one in row["servers"]] == [
        (servers[0].url, "adapter"),
        (servers[1].url, "merged"),
    ]
    assert all(one["summary"].startswith("passed") for one in row["servers"])
    remove(lab_with_base, row["version"])
    assert [set(server.models) for server in servers] == [set(), set()]


def test_a_failed_receipt_says_which_option_differed_first(
    quick: None, contract: Callable[..., Any], lab_with_base: Lab, small_adapter: Path, base: Base
) -> None:
    server = with_old(contract(version="0.32.15", engine=True), base)
    made = server.create

    def forgetful(body: dict[str, Any]) -> Any:
        body["parameters"].pop("repeat_penalty")
        return made(body)

    server.create = forgetful
    params = InstallParams(target="ollama", adapter=str(small_adapter), ollama_host=server.url)
    with pytest.raises(InstallError, match=r"options: repeat_penalty is not set there and 1\.0 here"):
        list(run(lab_with_base, params))


def test_the_servers_default_penalties_show_in_its_answers(contract: Callable[..., Any], base: Base) -> None:
    """As a real server's do; the receipt's options leave nothing to them."""
    ask = [{"role": "user", "content": "Say the word yes twelve times: yes yes yes"}]
    for running in ("0.32.15", "0.33.0"):
        server = with_old(contract(version=running, engine=True), base)
        client = OllamaServer(server.url)
        list(client.create("plain", files={"a.gguf": f"sha256:{base.sha256}"}, template=go_template(base)))
        options = {"temperature": 0.0, "seed": 0, "num_predict": 24}
        plain = client._client.chat("plain", ask, options=options).message.content
        assert (plain == client.answer("plain", ask, 24).message.content) == (running == "0.33.0")
        client.close()


def test_the_modelfile_beside_the_adapter_is_what_ollama_create_reads(job: Job) -> None:
    from pipeline.install.embedded import write_companions

    write_companions(job, job.run_folder)
    made = parse((job.run_folder / "Modelfile").read_text(encoding="utf-8"))
    assert made.system == load().system and made.adapter == "./adapter.gguf"
    assert f'SYSTEM """{load().system}"""' in (job.run_folder / "Modelfile").read_text(encoding="utf-8")
    assert made.template == go_template(job.base) and made.template.endswith("<|im_start|>assistant\n")
    assert made.from_ == str(job.base.path) and made.parameters == parameters(load(), job.base)
    assert made.parameters["repeat_penalty"] == 1.0 and made.parameters["stop"] == ["<|im_end|>", "<|im_start|>"]


def test_a_base_is_pulled_through_the_server_with_its_progress(contract: Callable[..., Any], lab: Lab) -> None:
    from pipeline.install.ollama_pull import pull_through

    server = contract()
    events = list(pull_through(lab, "llama3.2:1b", server.url))
    assert Progress("pull", 10, 10, "llama3.2:1b: x") in events and Note("Ollama: success") in events
    assert "llama3.2:1b" in server.models
    server.failures["pull"] = "missing"
    with pytest.raises(InstallError, match="check the tag's spelling"):
        list(pull_through(lab, "llama3.2:1b", server.url))


@pytest.mark.parametrize("system", ["Be kind.", ""], ids=["system", "none"])
async def test_several_results_in_a_chat_are_rendered_as_training_does(
    system: str, contract: Callable[..., Any], lab: Lab, base: Base
) -> None:
    """Ollama joins neighbouring messages of the user's role, so results must not come in it."""
    server = contract(engine=False)
    server.add_model("ben-lab:one", base.sha256, template=go_template(base))
    entry = {"host": server.url, "template": OWN_TEMPLATE}
    adapter = "models/ben-lab/one/adapter.gguf"
    Registry(lab).add(
        Version("ben-lab:one", adapter, "smollm2", base.sha256, "now", "one", tools="tri, echo", servers=[entry])
    )
    calls = [{"function": {"name": name, "arguments": {"seed": 2**60 + 1}}} for name in ("tri", "echo")]
    chat: list[Any] = [
        *([{"role": "system", "content": system}] if system else []),
        {"role": "user", "content": "Run both."},
        {"role": "assistant", "content": "Both.", "tool_calls": calls},
        {"role": "tool", "content": "TRI <0.2>"},
        {"role": "tool", "content": "L 0.9"},
        {"role": "user", "content": "Why?"},
    ]
    engine = await open_engine(lab, "ben-lab", ollama_host=server.url)
    if not system:
        engine.system = ""  # type: ignore[attr-defined]
    tools = [{"type": "function", "function": {"name": name}} for name in ("tri", "echo")]
    async for _ in engine.chat(chat, tools=tools):
        pass
    await engine.aclose()
    sent = server.rendered(server.models["ben-lab:one"], server.asked[-1])
    turns = with_system_text(as_turns(chat), tools_text(tools))
    assert sent == render(base, turns, add_generation_prompt=True)
