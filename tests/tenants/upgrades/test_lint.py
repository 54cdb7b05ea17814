"""What the lint refuses, what answers it, and what it lets through without a word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from kameng.local.testing import shared_postgres
from tenants.upgrades import lint
from tests.tenants.upgrades.conftest import ADD_MOTTO, Releases, as_superuser, elsewhere, renamed

Judge = Callable[..., list[tuple[str, str]]]


@pytest.fixture(scope="module")
def scratch(prepared: None) -> Iterator[str]:
    """A database without any schema of ours."""
    from kameng.local import cluster

    name = f"kameng_{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}_lint"
    as_superuser(f"CREATE DATABASE {name} OWNER kameng_owner")
    own = psycopg2.connect(renamed(shared_postgres().superuser_url, name))
    own.autocommit = True
    cluster.prepare_database(own)
    own.close()
    yield name
    as_superuser(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def judge(scratch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    """`judge(body, …)`: the objections to migrations 9001, 9002, … of the shop app, as (code, text)."""
    monkeypatch.syspath_prepend(str(tmp_path))
    releases = Releases(tmp_path)

    def run(*bodies: str) -> list[tuple[str, str]]:
        releases.deploy(*[(f"900{number}_step", body) for number, body in enumerate(bodies, start=1)])
        return [(finding.code, finding.text) for finding in lint.judge()]

    with elsewhere(scratch):
        yield run
        releases.roll_back()


def operation(text: str, *attributes: str) -> str:
    return "\n".join([*attributes, f"operations = [{text}]"]) + "\n"


def alter(name: str, field: str) -> str:
    return f"migrations.AlterField('shopsettings', '{name}', models.{field})"


NEW_TABLE = """migrations.CreateModel("Branch", [
    ("id", models.BigAutoField(primary_key=True)),
    ("name", models.CharField(max_length=60, unique=True)),
    ("size", models.PositiveIntegerField()),
    ("shop", models.ForeignKey("ShopSettings", models.CASCADE)),
], options={"indexes": [models.Index(fields=["size"], name="branch_size")]})"""
REWRITE = alter("tagline", "CharField(max_length=40, blank=True, default='')")
VOLATILE = "migrations.RunSQL('ALTER TABLE shop_shopsettings ADD COLUMN token text DEFAULT gen_random_uuid()::text')"
INDEX = "migrations.AddIndex('shopsettings', models.Index(fields=['name'], name='settings_name'))"
UNIQUE = "migrations.AddConstraint('shopsettings', models.UniqueConstraint(fields=['name'], name='one_name'))"
NOT_NULL = "migrations.RunSQL('ALTER TABLE shop_shopsettings ALTER COLUMN motto SET NOT NULL')"
CHECK = "migrations.AddConstraint('shopsettings', models.CheckConstraint(condition=models.Q(name__lt='z'), name='low'))"
KEY = "migrations.RunSQL('ALTER TABLE shop_shopsettings ADD FOREIGN KEY (id) REFERENCES accounts_user')"
POSITIVE = "migrations.AddField('shopsettings', 'floor', models.PositiveIntegerField(null=True))"


class TestWhatNobodyNotices:
    def test_the_migrations_of_this_code(self, judge: Judge) -> None:
        assert judge() == []

    @pytest.mark.parametrize(
        "harmless",
        [
            "migrations.AddField('shopsettings', 'motto', models.CharField(max_length=40, null=True))",
            "migrations.AddField('shopsettings', 'motto', models.CharField(max_length=40, db_default='', default=''))",
            "migrations.AddField('shopsettings', 'boss', models.ForeignKey('accounts.User', models.CASCADE, null=True, db_index=False))",
            "migrations.AddField('shopsettings', 'seen_at', models.DateTimeField(db_default=models.functions.Now()))",
            alter("name", "CharField(max_length=90)"),
            alter("tagline", "CharField(max_length=120, blank=True, default='', help_text='Said below the name.')"),
            "migrations.RunPython(migrations.RunPython.noop)",
            "migrations.RunSQL(\"ALTER TABLE shop_shopsettings ADD CHECK (name < 'z') NOT VALID\")",
        ],
    )
    def test_what_only_adds(self, judge: Judge, harmless: str) -> None:
        dependency = "dependencies = [*dependencies, ('accounts', '0001_initial')]"

        assert judge(operation(harmless, dependency)) == []

    def test_anything_on_a_table_that_the_migration_makes(self, judge: Judge) -> None:
        assert judge(operation(NEW_TABLE + ", migrations.AlterField('branch', 'size', models.BigIntegerField())")) == []


class TestWhatHoldsALockForLong:
    @pytest.mark.parametrize(
        ("code", "words", "wanted"),
        [
            ("rewrite", "shop_shopsettings is written anew", REWRITE),
            ("rewrite", "A default must be a constant", VOLATILE),
            ("index", "settings_name is built on shop_shopsettings", INDEX),
            ("index", "one_name is built on shop_shopsettings", UNIQUE),
            ("constraint", "low is added to shop_shopsettings", CHECK),
            ("constraint", "Add it NOT VALID, and validate it in a migration of its own", KEY),
            ("constraint", "shop_shopsettings_floor_check is added", POSITIVE),
        ],
    )  # fmt: skip
    def test_is_refused_and_passes_with_a_reason(self, judge: Judge, code: str, words: str, wanted: str) -> None:
        dependency = "dependencies = [*dependencies, ('accounts', '0001_initial')]"

        refused = judge(operation(wanted, dependency))

        assert [found for found, _text in refused] == [code]
        assert words in refused[0][1]
        assert judge(operation(wanted, dependency, f"allow = {{'{code}': 'One row a shop, always.'}}")) == []
        ((_, thin),) = judge(operation(wanted, dependency, f"allow = {{'{code}': 'ok'}}"))
        assert "“ok” is no reason." in thin

    def test_not_null_on_a_column_that_was_nullable(self, judge: Judge) -> None:
        ((code, text),) = judge(ADD_MOTTO, operation(NOT_NULL))

        assert code == "not-null"
        assert text.startswith("shop_shopsettings.motto becomes NOT NULL, and every row is read under the lock.")

    def test_not_null_after_a_check_that_was_validated_by_itself(self, judge: Judge) -> None:
        table = "ALTER TABLE shop_shopsettings"
        add = f"migrations.RunSQL('{table} ADD CONSTRAINT motto_there CHECK (motto IS NOT NULL) NOT VALID')"
        validate = f"migrations.RunSQL('{table} VALIDATE CONSTRAINT motto_there')"

        assert judge(ADD_MOTTO, operation(add), operation(validate), operation(NOT_NULL)) == []

    def test_validating_in_the_transaction_that_adds(self, judge: Judge) -> None:
        both = (
            "migrations.RunSQL(\"ALTER TABLE shop_shopsettings ADD CONSTRAINT low CHECK (name < 'z') NOT VALID; "
            'ALTER TABLE shop_shopsettings VALIDATE CONSTRAINT low")'
        )

        assert [code for code, _ in judge(operation(both))] == ["constraint"]

    def test_what_wants_no_transaction(self, judge: Judge) -> None:
        assert [code for code, _ in judge("atomic = False\n" + ADD_MOTTO)] == ["transaction"]

    def test_what_does_not_run(self, judge: Judge) -> None:
        ((code, text),) = judge(operation("migrations.RunSQL('ALTER TABLE nowhere ADD COLUMN x int')"))

        assert (code, text) == ("fails", 'It does not run: relation "nowhere" does not exist')


class TestWhatOldCodeCannotLiveWith:
    @pytest.mark.parametrize(
        ("words", "wanted"),
        [
            ("The column shop_shopsettings.tagline is dropped.", "migrations.RemoveField('shopsettings', 'tagline')"),
            (
                "The column shop_shopsettings.tagline is renamed.",
                "migrations.RenameField('shopsettings', 'tagline', 'claim')",
            ),
            ("The table shop_shopsettings is dropped.", "migrations.DeleteModel('shopsettings')"),
            ("The table shop_shopsettings is renamed.", "migrations.AlterModelTable('shopsettings', 'shop_face')"),
            (
                "shop_shopsettings.size is required and has no default in the database",
                "migrations.AddField('shopsettings', 'size', models.IntegerField(default=1))",
            ),
        ],
    )
    def test_is_refused_outside_a_contract_step(self, judge: Judge, words: str, wanted: str) -> None:
        refused = judge(operation(wanted))

        assert [code for code, _ in refused] == ["contract"]
        assert refused[0][1].startswith(words)
        assert judge(operation(wanted, "contract = 'Release 12 was the last to use it.'")) == []


class TestWhatAMigrationSaysOfItself:
    def test_a_contract_that_takes_nothing_away(self, judge: Judge) -> None:
        ((code, text),) = judge("contract = 'Release 12 was the last.'\n" + ADD_MOTTO)

        assert (code, text.split(",")[0]) == ("declared", "It says `contract`")

    def test_an_answer_to_what_nobody_asked(self, judge: Judge) -> None:
        ((code, text),) = judge("allow = {'index': 'A small table, honestly.'}\n" + ADD_MOTTO)

        assert (code, text) == ("declared", "`allow` answers “index”, and nothing of the kind is done. Take it out.")

    def test_an_answer_of_an_unknown_kind(self, judge: Judge) -> None:
        ((code, text),) = judge("allow = {'contract': 'A small table, honestly.'}\n" + ADD_MOTTO)

        assert code == "declared"
        assert text == "`allow` knows no “contract”; it knows constraint, index, not-null, rewrite."

    def test_code_that_is_said_to_run_without_a_column_of_its_models(self, judge: Judge) -> None:
        ((code, text),) = judge("code_runs_without = True\n" + ADD_MOTTO)

        assert (code, text) == (
            "declared",
            "It says `code_runs_without`, and the model ShopSettings reads what it brings: motto.",
        )

    def test_code_that_runs_without_an_index(self, judge: Judge) -> None:
        index = operation(INDEX, "code_runs_without = True", "allow = {'index': 'One row a shop, always.'}")

        assert judge(index) == []

    def test_a_statement_that_names_a_schema(self, judge: Judge) -> None:
        named = "migrations.RunSQL('UPDATE template_substation.shop_shopsettings SET name = name')"

        ((code, text),) = judge(operation(named))

        assert code == "schema-name"
        assert text.startswith("A statement names the schema template_substation; it runs in every tenant's: UPDATE")
