"""The embedded server: its process, its key, its slots, and adapters switched by request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from pipeline.bases import Base
from pipeline.chat import EmbeddedServer
from pipeline.errors import ChatError

CHAT = [{"role": "user", "content": "Name three colours."}]


def child_of(server: EmbeddedServer) -> psutil.Process:
    return next(child for child in psutil.Process().children() if server._process and child.pid == server._process.pid)


def test_it_answers_only_with_its_key_and_only_on_the_loopback(server: EmbeddedServer) -> None:
    assert server.base_url.startswith("http://127.0.0.1:")
    body = {"prompt": "x", "n_predict": 1}
    assert httpx.post(f"{server.base_url}/completion", json=body, trust_env=False).status_code == 401
    wrong = {"Authorization": "Bearer no"}
    assert httpx.post(f"{server.base_url}/completion", json=body, headers=wrong, trust_env=False).status_code == 401
    with server.client() as client:
        assert client.post("/completion", json=body).status_code == 200
    ports = {c.laddr.ip for c in child_of(server).net_connections() if c.status == psutil.CONN_LISTEN}
    assert ports == {"127.0.0.1"}


def test_the_key_stands_neither_in_argv_nor_in_the_environment(server: EmbeddedServer) -> None:
    child = child_of(server)
    assert server.key not in " ".join(child.cmdline()) and server.key not in str(child.environ())


def test_prompts_are_rendered_as_llama_cpp_and_training_render_them(server: EmbeddedServer) -> None:
    chat = [{"role": "system", "content": "Be brief."}, *CHAT, {"role": "assistant", "content": "Red."}, *CHAT]
    with server.client() as client:
        theirs = client.post("/apply-template", json={"messages": chat}).json()["prompt"]
    assert server.render(chat) == theirs


def test_an_adapter_is_switched_by_request_without_a_reload(server: EmbeddedServer) -> None:
    answers = [server.complete(CHAT, n_predict=8, adapter=adapter)["content"] for adapter in (True, False, True, False)]
    assert answers[0] == answers[2] and answers[1] == answers[3] and answers[0] != answers[1]


def test_many_prompts_come_back_with_their_numbers(server: EmbeddedServer) -> None:
    prompts = [[{"role": "user", "content": f"Repeat the number {n}."}] for n in range(5)]
    answers = dict(server.complete_many(prompts, adapter=False, max_tokens=8))
    assert sorted(answers) == [0, 1, 2, 3, 4]
    alone = {n: server.complete(prompts[n], adapter=False, n_predict=8)["content"] for n in (0, 4)}
    assert all(answers[n].strip() for n in answers) and alone[0].strip()


def test_an_adapter_that_is_not_loaded_is_named(server: EmbeddedServer) -> None:
    with pytest.raises(ChatError, match="adapter 3 is not loaded: this engine holds 1"):
        server.complete(CHAT, adapter=3)


def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF nonsense")
    with pytest.raises(ChatError, match=r"x\.gguf is no whole GGUF file .*: pull the base again"):
        EmbeddedServer.start(tmp_path / "x.gguf", log=tmp_path / "log")
    with pytest.raises(ChatError, match="is not there"):
        EmbeddedServer.start(tmp_path / "y.gguf")


def test_an_adapter_of_another_base_is_one_sentence(base: Base, tmp_path: Path) -> None:
    from gguf import GGUFWriter
    from numpy import ones

    writer = GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    writer.add_tensor("blk.0.ffn_down.weight.lora_a", ones((4, 99), "float32"))
    writer.add_tensor("blk.0.ffn_down.weight.lora_b", ones((576, 4), "float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ChatError, match="adapter was trained on it") as raised:
        EmbeddedServer.start(base, [tmp_path / "a.gguf"])
    assert "\n" not in str(raised.value)


def test_it_dies_with_a_parent_that_is_killed(base: Base) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from pipeline.chat import EmbeddedServer\n"
        f"s = EmbeddedServer.start(Path({str(base.path)!r}), parallel=1, context=256)\n"
        "print(s._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert psutil.wait_procs([child], timeout=10)[1] == []


def test_paths_with_spaces_and_quotes_are_only_paths(base: Base, adapter_gguf: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a "lab"; $(touch x)'
    folder.mkdir()
    (folder / "b ase.gguf").symlink_to(base.path)
    (folder / "ada pter.gguf").symlink_to(adapter_gguf)
    files = folder / "b ase.gguf", [folder / "ada pter.gguf"]
    with EmbeddedServer.start(*files, parallel=1, context=256, log=folder / "l og") as server:
        assert server.complete("<|im_start|>user\nHi<|im_end|>\n", n_predict=2)["tokens_predicted"] == 2


def test_closing_ends_the_child(base: Base) -> None:
    server = EmbeddedServer.start(base, parallel=1, context=256)
    child = child_of(server)
    began = time.monotonic()
    server.close()
    assert not child.is_running() and time.monotonic() - began < 3
    assert not server.alive


def test_the_base_s_states_never_reach_the_tuned_model(base: Base, adapter_gguf: Path, tmp_path: Path) -> None:
    """Many prompts of the base push its states out of the slots; the same prompts then go to the adapter."""
    prompts = [f"Question {number}: what does run {number * 37} of the lab show, and why?" for number in range(6)]
    fresh, used = (
        EmbeddedServer.start(base.path, [adapter_gguf], parallel=2, context=256, log=tmp_path / name)
        for name in ("fresh.log", "used.log")
    )
    with fresh, used:
        alone = dict(fresh.complete_many(prompts, adapter=True, max_tokens=12))
        plain = dict(used.complete_many(prompts, adapter=False, max_tokens=12))
        after = dict(used.complete_many(prompts, adapter=True, max_tokens=12))
    assert after == alone
    assert plain != alone
