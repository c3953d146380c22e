"""The embedded server: wherever it lies, whatever died, whoever shares it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

from core.errors import DatabaseUnavailable, DataFolderUnusable
from db.embedded import embedded_postgres, join
from db.embedded.locks import claim
from tests.db.embedded.launching import (
    ROOT,
    User,
    answers,
    ask,
    end,
    kill,
    run,
    said,
    servers_of,
)
from tests.db.waiting import eventually, wait_until


@pytest.mark.parametrize("name", ["plain", "with space", "kom,ma", "Ünï", "l" * 120])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    """Spaces, commas, other letters and paths too long for a socket do not matter."""
    postgres = join(tmp_path / name)
    try:
        assert ask(postgres.admin_url, "show data_directory") == str(tmp_path / name / "data")
        assert stat.S_IMODE(postgres.socket.stat().st_mode) == 0o700
        assert ask(postgres.admin_url, "show listen_addresses") == ""
    finally:
        postgres.leave()
    assert not servers_of(tmp_path / name)
    assert not postgres.socket.exists() or postgres.socket.is_relative_to(tmp_path)


def test_data_stays(made: Path) -> None:
    """What was committed is there at the next start."""
    first = join(made)
    run(first.admin_url, "create table kept as select 1 as one")
    first.leave()
    second = join(made)
    assert ask(second.admin_url, "select one from kept") == 1
    second.leave()


def test_text_of_all_languages_folds(made: Path) -> None:
    """Upper and lower case are one word to full-text search beyond ASCII too."""
    postgres = join(made)
    assert ask(postgres.admin_url, "select lower('ÄPFEL')") == "äpfel"
    postgres.leave()


def test_server_killed(made: Path) -> None:
    """Right after kill -9 of the server the next start succeeds and no row is lost."""
    first = join(made)
    run(first.admin_url, "create table kept as select generate_series(1, 1000) as i")
    kill(first.pid)
    second = join(made)
    assert ask(second.admin_url, "select count(*) from kept") == 1000
    second.leave()
    first.leave()


async def test_server_killed_under_us(made: Path) -> None:
    """A server that dies while it is used is started again, at the same address."""
    async with embedded_postgres(made) as postgres:
        before = postgres.pid
        kill(before)
        await eventually(lambda: postgres.pid not in (None, before))
        await eventually(lambda: answers(postgres.admin_url))


def test_application_killed(made: Path, user: User) -> None:
    """After kill -9 of the application its server is stopped in order, and can be started again."""
    first = user(made)
    said(first)
    first.kill()
    wait_until(lambda: not servers_of(made))
    assert "database system is shut down" in (made / "postgres.log").read_text()
    second = join(made)
    assert ask(second.admin_url, "select 1") == 1
    second.leave()


def test_application_killed_and_restarted(made: Path, user: User) -> None:
    """Right after kill -9 of the application the next start succeeds."""
    first = user(made)
    url, _ = said(first)
    first.kill()
    second = join(made)
    assert second.admin_url == url
    assert ask(second.admin_url, "select 1") == 1
    second.leave()
    assert not servers_of(made)


def test_keeper_killed(made: Path, user: User) -> None:
    """Without its keeper the server is still stopped by the last one out."""
    first = user(made)
    said(first)
    keeper = [str(ROOT / "db" / "embedded" / "keeper.py"), str(made)]
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-2:] == keeper:
            process.kill()
    end(first)
    assert not servers_of(made)


def test_all_killed(made: Path, user: User) -> None:
    """After kill -9 of the application and the server the next start succeeds."""
    first = user(made)
    _, pid = said(first)
    kill(int(pid))
    first.kill()
    first.wait()
    second = join(made)
    assert ask(second.admin_url, "select 1") == 1
    second.leave()


def test_foreign_process_with_the_recorded_id(made: Path) -> None:
    """A stranger that got the dead server's process id neither blocks the start nor is harmed."""
    first = join(made)
    recorded = (made / "data" / "postmaster.pid").read_text().split("\n")
    kill(first.pid)
    stranger = subprocess.Popen(["sleep", "60"])
    (made / "data" / "postmaster.pid").write_text("\n".join([str(stranger.pid), *recorded[1:]]))
    lock = first.socket / ".s.PGSQL.5432.lock"
    lock.write_text("\n".join([str(stranger.pid), *lock.read_text().split("\n")[1:]]))
    second = join(made)
    assert ask(second.admin_url, "select 1") == 1
    second.leave()
    first.leave()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_empty_lock_file(made: Path) -> None:
    """A process id file that a full disk left empty does not block the start."""
    join(made).leave()
    (made / "data" / "postmaster.pid").touch()
    postgres = join(made)
    assert ask(postgres.admin_url, "select 1") == 1
    postgres.leave()


def test_two_processes_share(folder: Path, user: User) -> None:
    """Two processes that start at once share one server; the last one out stops it."""
    first, second = user(folder), user(folder)
    assert said(first) == said(second)
    end(first)
    assert len(servers_of(folder)) == 1
    end(second)
    assert not servers_of(folder)


def test_the_first_out_leaves_it_running(made: Path, user: User) -> None:
    """The process that started the server may leave first; a killed one counts as gone."""
    first = join(made)
    second, third = user(made), user(made)
    said(second)
    said(third)
    third.kill()
    first.leave()
    assert len(servers_of(made)) == 1
    end(second)
    wait_until(lambda: not servers_of(made))  # the killed one may take its time to vanish


def test_interrupted_initdb(folder: Path) -> None:
    """What an interrupted first start left behind is made anew."""
    (folder / "data.incomplete").mkdir(parents=True)
    (folder / "data.incomplete" / "PG_VERSION").write_text("18\n")
    postgres = join(folder)
    assert ask(postgres.admin_url, "select 1") == 1
    postgres.leave()
    assert not (folder / "data.incomplete").exists()


def test_interrupt_of_the_terminal(made: Path, user: User) -> None:
    """Ctrl-C reaches the application alone, which then stops its server in order."""
    process = user(made)
    _, pid = said(process)
    assert os.getpgid(int(pid)) != os.getpgid(process.pid)
    assert os.getsid(int(pid)) != os.getsid(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait()
    assert not servers_of(made)
    assert "database system is shut down" in (made / "postgres.log").read_text()


@pytest.mark.parametrize("version", ["16", "19"])
def test_other_version(folder: Path, version: str) -> None:
    """Data of another Postgres is refused with what to do, and left alone."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text(f"{version}\n")
    with pytest.raises(DataFolderUnusable, match=f"Postgres {version}") as caught:
        join(folder)
    assert "pg_dump" in (caught.value.hint or "")
    assert [path.name for path in (folder / "data").iterdir()] == ["PG_VERSION"]


@pytest.mark.parametrize("name", ["PG_VERSION", "thesis.docx"])
def test_folder_of_something_else(folder: Path, name: str) -> None:
    """A folder that holds anything else is refused and left alone."""
    folder.mkdir()
    (folder / name).write_text("18\n")
    with pytest.raises(DataFolderUnusable):
        join(folder)
    assert [path.name for path in folder.iterdir()] == [name]


def test_lost_data(folder: Path) -> None:
    """An emptied cluster is no reason to begin a new one."""
    (folder / "data").mkdir(parents=True)
    with pytest.raises(DataFolderUnusable, match="not the data"):
        join(folder)


def test_folder_is_a_file(folder: Path) -> None:
    """A file in place of the folder is named as such."""
    folder.write_text("")
    with pytest.raises(DataFolderUnusable, match="is a file"):
        join(folder)


def test_damaged_data(made: Path) -> None:
    """When Postgres gives up, its last words are the message."""
    join(made).leave()
    (made / "data" / "global" / "pg_control").unlink()
    with pytest.raises(DatabaseUnavailable, match="pg_control") as caught:
        join(made)
    assert "postgres.log" in (caught.value.hint or "")


def test_failed_start_leaves_nothing_running(made: Path) -> None:
    """After a failed start no server, no user and no lock is left."""
    with pytest.raises(DatabaseUnavailable, match="invalid value"):
        join(made, {"shared_buffers": "nonsense"})
    for name in ("lock", "users", "server"):
        lock = claim(made / name)
        assert lock is not None
        os.close(lock)


def test_broken_off(folder: Path, user: User) -> None:
    """Ctrl-C during the very first start leaves no server behind, and the next start succeeds."""
    process = user(folder)
    wait_until((folder / "lock").exists)
    process.send_signal(signal.SIGINT)
    process.wait()
    assert not servers_of(folder)
    postgres = join(folder)
    assert ask(postgres.admin_url, "select 1") == 1
    postgres.leave()


def test_variables_of_other_servers(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables meant for another Postgres do not lead ours astray."""
    for name, value in {"PGPORT": "9", "PGDATA": "/nowhere", "PGHOST": "nowhere"}.items():
        monkeypatch.setenv(name, value)
    postgres = join(made)
    assert ask(postgres.admin_url, "show port") == "5432"
    postgres.leave()
