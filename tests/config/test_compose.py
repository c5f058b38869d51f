"""Dockerfile and docker-compose.yml name only what exists, and keep what they promise (no engine needed)."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands
from django.utils import timezone

from inbound import watching
from jobs import heartbeats
from jobs.models import Heartbeat

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "beat", "watcher", "backup")
LASTING_OURS = ("web", "worker", "beat", "watcher")
LASTING = sorted(set(SERVICES) - {"migrate", "backup"})
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


def ignore_rules() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def command_of(service: str) -> list[str]:
    command = SERVICES[service].get("command")
    return command or yaml.safe_load(instructions("CMD")[-1])


# --- services ------------------------------------------------------------------------------------------


def test_the_services_are_these():
    assert sorted(SERVICES) == [
        "backup", "beat", "migrate", "postgres", "redis", "watcher", "web", "worker"
    ]  # fmt: skip
    assert SERVICES["postgres"]["image"].startswith("postgres:17")
    assert SERVICES["redis"]["image"].startswith("redis:7")
    assert {SERVICES[name]["image"] for name in OURS} == {"erp-mail"}


@pytest.mark.parametrize("name", ["web", "worker", "beat", "watcher"])
def test_nothing_starts_before_the_tables_are_there(name):
    assert SERVICES[name]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


def test_migrations_run_once_and_wait_for_the_database():
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_started_again(name):
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_whoever_is_waited_for_and_all_that_serve_have_a_health_check():
    checked = {name for name, service in SERVICES.items() if "test" in service.get("healthcheck", {})}
    assert checked == {"worker", "beat", "watcher", "postgres", "redis"}
    # web has the image's own; it would be wrong for those that serve nothing.
    assert "healthcheck" not in SERVICES["web"]
    assert all(SERVICES[name]["healthcheck"] == {"disable": True} for name in ("migrate", "backup"))


def test_only_the_web_is_reachable_and_from_this_machine_only():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"web": ["127.0.0.1:8000:8000"]}
    assert COMPOSE["networks"]["data"]["internal"] is True
    assert {name for name in SERVICES if "outside" in SERVICES[name]["networks"]} == {
        "web",
        "worker",
        "watcher",
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_root_file_systems_are_read_only_and_privileges_cannot_grow(name):
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["tmpfs"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_have_no_capabilities_and_no_volume_hides_the_image(name):
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name].get("volumes", []) == (["backups:/backups"] if name == "backup" else [])


def test_every_volume_and_network_is_declared():
    mounted = {entry.split(":")[0] for one in SERVICES.values() for entry in one.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])
    assert {name for one in SERVICES.values() for name in one["networks"]} == set(COMPOSE["networks"])


def test_t20_backups_run_when_asked_before_migrations_and_with_tools_of_the_databases_version():
    backup = SERVICES["backup"]
    assert backup["profiles"] == ["tools"]
    assert backup["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert backup["networks"] == ["data"]
    # A named volume takes owner and mode from the image.
    assert "install -d -o erp -g erp -m 0700 var /backups" in DOCKERFILE
    [version] = re.findall(r"postgresql-client-(\d+)", DOCKERFILE)
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{version}-")


@pytest.mark.parametrize("name", LASTING_OURS)
def test_r42_whoever_stops_a_process_waits_until_its_work_in_hand_has_ended(name):
    grace = int(SERVICES[name].get("stop_grace_period", "10s").removesuffix("s"))
    needed = {"web": gunicorn_settings()["graceful_timeout"], "worker": settings.DRAIN_SECONDS}
    assert grace >= needed.get(name, 2) + 5


def gunicorn_settings() -> dict:
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def test_the_health_check_of_beat_tells_a_schedule_written_from_one_left_behind(tmp_path):
    command = SERVICES["beat"]["healthcheck"]["test"][1].replace("/tmp", str(tmp_path))
    schedule = tmp_path / "beat-schedule.dat"
    assert SERVICES["beat"]["command"][-1] == "/tmp/beat-schedule"
    assert settings.CELERY_BEAT_SYNC_EVERY == 1
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 1
    schedule.touch()
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    long_ago = time.time() - 120
    os.utime(schedule, (long_ago, long_ago))
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 1


# --- settings ------------------------------------------------------------------------------------------


def test_every_variable_is_documented():
    named = {variable for service in SERVICES.values() for variable in service.get("environment", {})}
    named |= set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
    assert {"DATABASE_URL", "CELERY_BROKER_URL", "POSTGRES_PASSWORD"} <= named <= documented


@pytest.mark.parametrize("name", OURS)
def test_settings_come_from_dot_env_and_point_at_the_services(name):
    service = SERVICES[name]
    assert service["env_file"] == ".env"
    assert "@postgres:5432/erp" in service["environment"]["DATABASE_URL"]
    assert service["environment"]["CELERY_BROKER_URL"].endswith("@redis:6379/0")


def test_no_secret_stands_in_the_files():
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or "URL" in variable:
                assert re.search(r":\$\{[A-Z]+_PASSWORD:\?[^}]+\}@", f":{value}@")
    assert not re.search(r"^(ENV|ARG)\b.*(KEY|PASSWORD|TOKEN)", DOCKERFILE, re.MULTILINE)


# --- commands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(name):
    program, *arguments = command_of(name)
    match program:
        case "python":
            assert (ROOT / arguments[0]).is_file()
            assert arguments[1] in get_commands()
        case "gunicorn":
            assert importlib.util.find_spec("gunicorn")
            assert importlib.util.find_spec(arguments[0])
        case _:
            assert program == "celery"
            assert importlib.util.find_spec(arguments[arguments.index("-A") + 1])
            known = subprocess.run(
                [sys.executable, "-m", "celery", arguments[2], "--help"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            assert [option for option in arguments if option.startswith("--") and option not in known] == []


def test_the_watcher_is_healthy_while_it_gives_signs_of_life(db):
    """The check asks for the heartbeat that the watcher refreshes, and forgives three missed ones."""
    _, program, script, *arguments = SERVICES["watcher"]["healthcheck"]["test"]
    assert (program, script) == ("python", "manage.py")
    assert arguments[1] == watching.HEARTBEAT
    assert int(arguments[-1]) >= 3 * watching.LOOK_SECONDS
    with pytest.raises(CommandError, match="no sign of life"):
        call_command(*arguments)
    heartbeats.beat(watching.HEARTBEAT)
    call_command(*arguments)
    Heartbeat.objects.update(at=timezone.now() - timedelta(seconds=int(arguments[-1]) + 1))
    with pytest.raises(CommandError, match="121 seconds old"):
        call_command(*arguments)


def test_gunicorn_takes_its_options():
    arguments = command_of("web")[1:]
    check = [sys.executable, "-m", "gunicorn", "--check-config", *arguments]
    done = subprocess.run(check, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- image ---------------------------------------------------------------------------------------------


def test_what_is_copied_exists_and_is_let_through():
    allowed = {rule[1:] for rule in ignore_rules() if rule.startswith("!")}
    assert {name for name in allowed if not (ROOT / name).exists()} == set()
    lines = [line for line in instructions("COPY") if "--from" not in line]
    copied = {word for line in lines for word in shlex.split(line)[:-1]}
    assert {name for name in copied if not (ROOT / name).exists()} == set()
    assert copied - {"."} <= allowed
    scripts = set(re.findall(r"scripts/\w+\.py", " ".join(instructions("HEALTHCHECK"))))
    assert scripts
    assert scripts <= allowed


def test_every_room_is_in_the_image_and_nothing_private():
    rules = ignore_rules()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    rooms = {app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir()} | {"config", "mailkit"}
    assert rules[0] == "*"
    assert rooms | {"static", "templates", "locale", "manage.py", "requirements.lock"} <= allowed
    private = (".env", ".git", "var", "tests", "docs", "test-output", ".venv")
    assert not [name for name in private for rule in allowed if fnmatch(name, rule)]


def test_the_image_installs_by_hash_and_runs_as_nobody_special():
    assert "--require-hashes" in "".join(instructions("RUN"))
    assert instructions("USER") == ["erp"]
    assert {line.split(" AS ")[0] for line in instructions("FROM")} == {"python:3.12-slim-trixie"}
    assert len(instructions("FROM")) == 2
    assert instructions("ENTRYPOINT") == []
    after_user = DOCKERFILE.split("USER erp")[1]
    assert "collectstatic" in after_user


def test_the_image_holds_all_that_the_application_needs(tmp_path):
    """What the build does after COPY, with nothing but the files that .dockerignore lets through."""
    for rule in ignore_rules():
        source = ROOT / rule.removeprefix("!")
        if not rule.startswith("!"):
            continue
        if source.is_dir():
            shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target = tmp_path / rule.removeprefix("!")
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(source, target)
    environment = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "k" * 64,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}",
    }
    for arguments in (["collectstatic", "--no-input", "-v", "0"], ["migrate", "--no-input", "-v", "0"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    assert list((tmp_path / "var/static").glob("app.*.css"))


# --- the container's health check ----------------------------------------------------------------------


def healthy(port: int) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(ROOT / "scripts/web_is_healthy.py"), str(port)]
    return subprocess.run(script, check=False, capture_output=True, text=True, timeout=30)


def test_the_web_is_healthy_even_while_no_worker_runs(live_server, client):
    assert client.get("/healthz").status_code == 503
    done = healthy(live_server.thread.port)
    assert (done.returncode, done.stdout) == (0, "database ok\n")


def test_the_web_is_not_healthy_when_it_does_not_answer(unused_port):
    assert healthy(unused_port).returncode == 1


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    return 1
