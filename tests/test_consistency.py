"""Rules of the whole repository that no linter knows."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.template.loader import get_template
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from kameng.jobs import registry

ROOT = Path(__file__).resolve().parents[1]
CODE = ("src", "tenants", "shared_apps", "tenant_apps")


def sources(suffix: str = ".py") -> Iterator[Path]:
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob(f"*{suffix}")):
            if not {"node_modules", "__pycache__", "static"} & set(path.parts):
                yield path


class TestBackground:
    def test_every_scheduled_name_is_somebodys_work(self) -> None:
        scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} - {"jobs.sweep"}

        assert scheduled == set(registry.periodic_work())

    def test_every_job_that_is_left_has_a_handler(self) -> None:
        left = set()
        for path in sources():
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "enqueue":
                    for keyword in node.keywords:
                        if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant):
                            left.add(keyword.value.value)

        assert left
        assert left <= registry.kinds()

    def test_every_step_of_the_settings_can_be_imported(self) -> None:
        for path in (*settings.PROVISIONING_STEPS, *settings.PREPARE_STEPS):
            assert callable(import_string(path))

    def test_every_step_of_a_shops_making_has_words_for_the_page_that_shows_it(self) -> None:
        from tenants.views import STEP_WORDS

        assert {path.rpartition(".")[2] for path in settings.PROVISIONING_STEPS} == set(STEP_WORDS)


class TestModels:
    def test_no_foreign_key_of_a_tenant_app_leads_to_a_shared_one(self) -> None:
        tenant = set(settings.TENANT_APPS)
        both = tenant & set(settings.SHARED_APPS)
        for config in apps.get_app_configs():
            if config.name not in tenant:
                continue
            for model in config.get_models():
                for field in model._meta.get_fields():
                    target = getattr(field, "related_model", None)
                    if target is None or not getattr(field, "concrete", False):
                        continue
                    home = target._meta.app_config.name
                    allowed = both if config.name in both else tenant
                    assert home in allowed, f"{model.__name__}.{field.name} leads to {home}"

    def test_every_key_is_a_bigint(self) -> None:
        small = []
        for config in apps.get_app_configs():
            if not config.name.startswith(("kameng", "tenants", "shared_apps", "tenant_apps")):
                continue
            for model in config.get_models():
                kind = model._meta.pk.get_internal_type()
                if kind in ("AutoField", "SmallAutoField"):
                    small.append(model.__name__)

        # A split rule's version is a number that people say aloud.
        assert small == ["SplitRule"]


class TestTemplates:
    def test_every_template_compiles(self) -> None:
        for path in sources(".html"):
            parts = path.parts
            name = "/".join(parts[len(parts) - parts[::-1].index("templates") :])
            get_template(name)

    def test_no_template_has_an_inline_handler_or_script_without_nonce(self) -> None:
        for path in sources(".html"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"<[a-z][^>]*\son[a-z]+=", text), path
            for tag in re.findall(r"<script\b[^>]*>", text):
                assert "nonce=" in tag or "src=" in tag, f"{path}: {tag}"


class TestAddresses:
    @pytest.mark.parametrize("urlconf", ["kameng.urls_main", "kameng.urls_tenant"])
    def test_every_view_can_be_reached_and_has_a_name(self, urlconf: str) -> None:
        def walk(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
            for pattern in patterns:
                if str(pattern.pattern).startswith("api/"):
                    continue  # Programs follow the schema, not names.
                if isinstance(pattern, URLResolver):
                    yield from walk(pattern.url_patterns)
                else:
                    yield pattern

        unnamed = [str(pattern.pattern) for pattern in walk(get_resolver(urlconf).url_patterns) if not pattern.name]

        assert unnamed == []


def files() -> Iterator[Path]:
    """Every file of the project: what git knows, or, on a machine without git, all but what .gitignore leaves out."""
    if shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
        if listed.returncode == 0:  # Not where the clone is another user's, or an archive.
            yield from (ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file())
            return
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ignored = [".git", *(line.strip("/") for line in lines)]
    for folder, names, members in os.walk(ROOT):
        names[:] = [name for name in names if not any(fnmatch(name, pattern) for pattern in ignored)]
        yield from (Path(folder, name) for name in members if not any(fnmatch(name, pattern) for pattern in ignored))


class TestPages:
    def test_a_page_of_console_or_panel_belongs_to_one_module_of_views(self) -> None:
        """A page that is written over by another of the same name answers 200 all the same."""
        users: dict[str, set[str]] = {}
        for path in sources():
            for name in re.findall(r'"((?:console|panel)/[a-z][a-z_]*\.html)"', path.read_text(encoding="utf-8")):
                users.setdefault(name, set()).add(path.stem)

        assert {name: sorted(modules) for name, modules in users.items() if len(modules) > 1} == {}
        assert len(users) > 80


class TestRepository:
    def test_no_file_has_become_two_subjects(self) -> None:
        long = [
            f"{len(path.read_text(encoding='utf-8').splitlines())} {path.relative_to(ROOT)}"
            for path in sources()
            if "migrations" not in path.parts and len(path.read_text(encoding="utf-8").splitlines()) > 450
        ]

        assert long == []

    def test_names_no_registry_and_no_path_of_a_machine(self) -> None:
        forbidden = re.compile(
            r"--(extra-)?index-url|--find-links|\"resolved\": \"http|(^|[^a-zA-Z0-9_.-])/(work|root)/[a-z]"
        )
        found = []
        for path in files():
            if path.suffix in {".png", ".webp", ".mo", ".woff2", ".ico", ".whl"} or path == Path(__file__):
                continue
            found += [
                f"{path.relative_to(ROOT)}:{number}"
                for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
                if forbidden.search(line)
            ]

        assert found == []

    def test_every_place_that_a_page_names_is_there(self) -> None:
        gone = []
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
            text = page.read_text(encoding="utf-8")
            links = [(page.parent, link) for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", text)]
            paths = re.findall(r"`((?:src|tenants|shared_apps|tenant_apps|tests|docs|infra)/[\w./-]+)`", text)
            places = [*links, *((ROOT, path) for path in paths)]
            gone += [f"{page.name}: {place}" for base, place in places if not (base / place).exists()]

        assert gone == []

    def test_the_lock_has_a_hash_for_every_package(self) -> None:
        locked = {}
        for name in ("requirements.lock", "requirements-dev.lock"):
            text = (ROOT / name).read_text(encoding="utf-8")
            locked[name] = re.findall(r"^([a-z0-9][^\s=]*)==\S+ \\$", text, re.MULTILINE)

            assert len(locked[name]) > 50
            assert text.count("--hash=sha256:") >= len(locked[name])
            assert "http" not in text
        assert not set.intersection(*map(set, locked.values()))

    def test_translations_are_whole_and_fresh(self) -> None:
        checked = subprocess.run(
            [sys.executable, "-m", "kameng.ui.i18n", "check"], cwd=ROOT, capture_output=True, text=True, check=False
        )

        assert checked.returncode == 0, checked.stdout + checked.stderr
