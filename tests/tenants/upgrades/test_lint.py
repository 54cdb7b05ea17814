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
CLUSTERED = "migrations.RunSQL('CLUSTER shop_shopsettings USING shop_shopsettings_pkey')"
STRICTER = "contract = 'Release 12 was the last to write it.'"
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
            "migrations.RunSQL('UPDATE shop_shopsettings SET name = name')",
            "migrations.RunSQL('ALTER TABLE shop_shopsettings ADD COLUMN size int, ADD CHECK (size > 0) NOT VALID')",
            "migrations.RunSQL('SET CONSTRAINTS ALL IMMEDIATE')",
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
            ("rewrite", "shop_shopsettings is written anew", CLUSTERED),
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
        ((code, text),) = judge(ADD_MOTTO, operation(NOT_NULL, "contract = 'Release 12 was the last to leave it out.'"))

        assert code == "not-null"
        assert text.startswith("shop_shopsettings.motto becomes NOT NULL, and every row is read under the lock.")

    def test_not_null_after_a_check_that_was_validated_by_itself(self, judge: Judge) -> None:
        table = "ALTER TABLE shop_shopsettings"
        add = f"migrations.RunSQL('{table} ADD CONSTRAINT motto_there CHECK (motto IS NOT NULL) NOT VALID')"
        validate = f"migrations.RunSQL('{table} VALIDATE CONSTRAINT motto_there')"

        # What old code may not write any more is asked of it once: by the CHECK.
        asked = operation(add, "contract = 'Release 12 was the last to leave it out.'")
        assert judge(ADD_MOTTO, asked, operation(validate), operation(NOT_NULL)) == []

    def test_validating_in_the_transaction_that_adds(self, judge: Judge) -> None:
        both = (
            "migrations.RunSQL(\"ALTER TABLE shop_shopsettings ADD CONSTRAINT low CHECK (name < 'z') NOT VALID; "
            'ALTER TABLE shop_shopsettings VALIDATE CONSTRAINT low")'
        )

        assert [code for code, _ in judge(operation(both, STRICTER))] == ["constraint"]

    @pytest.mark.parametrize(
        "fill",
        [
            "migrations.RunPython(migrations.RunPython.noop)",
            "migrations.RunSQL('UPDATE shop_shopsettings SET motto = name')",
            "migrations.RunSQL('WITH old AS (UPDATE shop_shopsettings SET motto = name RETURNING 1) TABLE old')",
            "migrations.RunSQL('-- Of old.\\n/* All. */ DELETE FROM orders_order; SELECT 1')",
        ],
    )
    def test_rows_that_are_written_where_a_table_is_altered(self, judge: Judge, fill: str) -> None:
        add = "migrations.AddField('shopsettings', 'motto', models.CharField(max_length=40, null=True))"
        ((code, text),) = judge(operation(f"{add}, {fill}"))

        assert code == "fill"
        assert text == (
            "shop_shopsettings is altered and rows are written in one transaction, and nobody gets at the table until the "
            "last one is. Fill in a migration of its own."
        )
        assert judge(operation(f"{add}, {fill}", "allow = {'fill': 'One row a shop, always.'}")) == []

    def test_the_update_that_django_puts_in_front_of_a_set_not_null(self, judge: Judge) -> None:
        found = judge(ADD_MOTTO, operation(alter("motto", "CharField(max_length=40, default='')")))

        assert [code for code, _ in found] == ["not-null", "fill", "contract"]

    def test_rows_of_a_table_that_the_migration_makes_may_be_written_with_it(self, judge: Judge) -> None:
        table = "migrations.RunSQL('CREATE TABLE shop_branch (id int); INSERT INTO shop_branch SELECT 1')"

        assert judge(operation(table)) == []

    def test_an_index_that_is_built_again(self, judge: Judge) -> None:
        """It keeps its name and its number in the catalogue, and gets another file."""
        found = judge(operation("migrations.RunSQL('REINDEX TABLE shop_shopsettings')"))

        assert ("index", "shop_shopsettings_pkey is built on shop_shopsettings") in [
            (code, text.split(",")[0]) for code, text in found
        ]

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

    def test_a_default_of_the_database_that_is_dropped(self, judge: Judge) -> None:
        add = "migrations.AddField('shopsettings', 'motto', models.CharField(max_length=40, db_default='x'))"
        drop = "migrations.RunSQL('ALTER TABLE shop_shopsettings ALTER COLUMN motto DROP DEFAULT')"

        ((code, text),) = judge(operation(add), operation(drop))

        assert (code, text) == (
            "contract",
            "shop_shopsettings.motto loses its default in the database, and code of the version before may leave it out. "
            "Release code that does without, then do this in a later release and say so in `contract`.",
        )
        assert judge(operation(add), operation(drop, STRICTER)) == []

    def test_a_column_that_was_nullable_and_becomes_required(self, judge: Judge) -> None:
        small = "allow = {'not-null': 'One row a shop, always.'}"

        ((code, text),) = judge(ADD_MOTTO, operation(NOT_NULL, small))

        assert code == "contract"
        assert text.startswith(
            "shop_shopsettings.motto becomes required, and code of the version before may write NULL."
        )
        assert judge(ADD_MOTTO, operation(NOT_NULL, small, STRICTER)) == []

    @pytest.mark.parametrize(
        "check",
        [
            "ADD CONSTRAINT low CHECK (name < 'z') NOT VALID",
            "ADD CONSTRAINT low CHECK (false) NOT VALID",
            "ADD COLUMN size int, ADD CONSTRAINT low CHECK (size IS NOT NULL) NOT VALID",
            "ADD COLUMN size int, ADD CONSTRAINT low CHECK (name < 'z' OR size > 0) NOT VALID",
        ],
    )
    def test_a_check_that_it_may_not_keep(self, judge: Judge, check: str) -> None:
        wanted = f'migrations.RunSQL("ALTER TABLE shop_shopsettings {check}")'

        ((code, text),) = judge(operation(wanted))

        assert code == "check"
        assert text.startswith(
            "low is a new CHECK of shop_shopsettings, and code of the version before may write what it refuses. Release "
        )
        assert judge(operation(wanted, STRICTER)) == []
        assert judge(operation(wanted, "allow = {'check': 'It permits one more state.'}")) == []

    def test_a_check_that_reads_every_row_is_asked_for_both(self, judge: Judge) -> None:
        assert [code for code, _ in judge(operation(CHECK))] == ["constraint", "check"]
        assert judge(operation(CHECK, STRICTER, "allow = {'constraint': 'One row a shop, always.'}")) == []


class TestWhatNoMigrationMaySay:
    @pytest.mark.parametrize(
        ("words", "statement"),
        [
            ("Take the LOCK out. LOCK TABLE", "LOCK TABLE orders_order IN ACCESS EXCLUSIVE MODE"),
            ("REINDEX CONCURRENTLY is maintenance", "SELECT 1; REINDEX TABLE shop_shopsettings"),
            ("It waits, and holds its locks meanwhile.", "SELECT pg_sleep(0)"),
            ("Take the SET out.", "/* Here. */ SET LOCAL search_path = public"),
            ("Take the SET out.", "RESET lock_timeout"),
            ("Take the SET out.", "SELECT set_config($$search_path$$, current_schema(), true)"),
            (
                "gets tables and indexes, and no view.",
                "CREATE OR REPLACE VIEW face AS SELECT name FROM shop_shopsettings",
            ),
            ("no view.", "CREATE MATERIALIZED VIEW face AS SELECT name FROM shop_shopsettings"),
            ("no rule.", "CREATE RULE deaf AS ON INSERT TO shop_shopsettings DO INSTEAD NOTHING"),
            ("no function.", "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$"),
            ("Write plain statements", "DO $$ BEGIN DELETE FROM shop_shopsettings; END $$"),
        ],
    )
    def test_is_refused_whatever_the_reason(self, judge: Judge, words: str, statement: str) -> None:
        found = [text for code, text in judge(operation(f"migrations.RunSQL({statement!r})")) if code == "statement"]

        assert len(found) == 1
        assert words in found[0]

    def test_a_word_in_a_text_or_a_comment_is_none(self, judge: Judge) -> None:
        said = "UPDATE shop_shopsettings SET name = $$; LOCK $$ WHERE name = '; SET x' /* ; pg_sleep(1) */ -- ; DO"

        assert judge(operation(f"migrations.RunSQL({said!r})")) == []


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
        assert text == "`allow` knows no “contract”; it knows check, constraint, fill, index, not-null, rewrite."

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
