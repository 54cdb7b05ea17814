"""The ledger's tables. They belong to role kameng_ledger; only its functions (sql/definitions) write them.

No foreign keys and no CHECKs on what a posting writes: keys lock the account rows and cost a third of the rate at
8 clients, and Postgres reads each CHECK anew at every statement. One statement trigger on the legs holds all of it
(sql/definitions/15_rules.sql), whoever inserts them.

`xid` is the id of the writing transaction plus `Control.xid_offset`, as a bigint: the order in which everything that
follows the ledger (roll-up, seal, statement feeds) may read it. Never by id and never by time.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from shared_apps.ledger.states import AccountClass, AccountState, Relation


class Account(models.Model):
    """A ledger account. People are users, staff or members, never accounts."""

    code = models.CharField(max_length=80)
    account_class = models.CharField(max_length=9, choices=AccountClass.choices, db_column="class")
    currency = models.CharField(max_length=3)
    # What its own balance (grown by its own side) must not fall below. NULL: unguarded.
    floor_minor = models.BigIntegerField(null=True)
    state = models.CharField(max_length=6, choices=AccountState.choices, default=AccountState.OPEN)
    substation_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("code",), name="ledger_account_code_once"),
            models.CheckConstraint(
                name="ledger_account_class_known", condition=Q(account_class__in=AccountClass.values)
            ),
            models.CheckConstraint(name="ledger_account_state_known", condition=Q(state__in=AccountState.values)),
        )
        indexes = (
            models.Index(
                fields=("substation_id",), condition=Q(substation_id__isnull=False), name="ledger_account_owner"
            ),
        )

    def __str__(self) -> str:
        return self.code


class Transfer(models.Model):
    """One movement: a set of legs that sums to zero per currency. Never changed."""

    # Unique by constraints below: `unique=True` would add a second index for LIKE to each.
    public_id = models.CharField(max_length=30)
    idempotency_key = models.CharField(max_length=120)
    digest = models.BinaryField(max_length=32)  # SHA-256 of what was asked for: the same key with another is refused.
    kind = models.CharField(max_length=30)
    reference_type = models.CharField(max_length=20)
    reference = models.CharField(max_length=40)
    substation_id = models.BigIntegerField(null=True)
    relation = models.CharField(max_length=8, choices=Relation.choices, null=True)
    related_id = models.BigIntegerField(null=True)
    split_rule_version = models.IntegerField(null=True)
    event_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    xid = models.BigIntegerField()
    memo = models.JSONField(default=dict)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("public_id",), name="ledger_transfer_public_id_once"),
            models.UniqueConstraint(fields=("idempotency_key",), name="ledger_transfer_key_once"),
            # A reversal is made once; of post and void, one. Two refunds of one sale are two transfers.
            models.UniqueConstraint(
                fields=("related_id", "relation"),
                condition=Q(relation__in=(Relation.REVERSES, Relation.RESOLVES)),
                name="ledger_transfer_done_once",
            ),
        )
        indexes = (
            models.Index(fields=("reference",), condition=~Q(reference=""), name="ledger_transfer_reference"),
            models.Index(fields=("related_id",), condition=Q(related_id__isnull=False), name="ledger_transfer_related"),
        )

    def __str__(self) -> str:
        return self.public_id


class Entry(models.Model):
    """One leg. Signed minor units, debit positive."""

    pk = models.CompositePrimaryKey("transfer_id", "leg")
    transfer_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    amount_minor = models.BigIntegerField()
    xid = models.BigIntegerField()
    leg = models.SmallIntegerField()  # 1, 2, … in the order that was asked for.
    currency = models.CharField(max_length=3)

    class Meta:
        # The tail of an account's balance; its lines.
        indexes = (models.Index(fields=("account_id", "xid"), name="ledger_entry_tail"),)


class Control(models.Model):
    """The one row that says how far the followers are, and how transaction ids are counted here."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    xid_offset = models.BigIntegerField(default=0)  # Added to this server's transaction ids; moved by `rebase` alone.
    rolled_to = models.BigIntegerField(default=0)  # Balances hold every entry with a smaller xid.
    sealed_to = models.BigIntegerField(default=0)  # Blocks hold every transfer with a smaller xid.
    highest_cut = models.BigIntegerField(default=0)  # No transaction of this server may stand before it.
    zone = models.CharField(max_length=40)  # Whose midnight parts the days.
    rolled_at = models.DateTimeField(null=True)
    sealed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.CheckConstraint(name="ledger_control_one_row", condition=Q(id=1)),)


class Balance(models.Model):
    """An account's balance (debit positive) over the entries before `Control.rolled_to`. Written by the roll-up."""

    account_id = models.BigIntegerField(primary_key=True)
    watermark = models.BigIntegerField()  # The cut that last changed it.
    balance_minor = models.BigIntegerField()


class DailyBalance(models.Model):
    """An account's day by the time of the event. A late event moves its own day and every later one."""

    pk = models.CompositePrimaryKey("account_id", "day")
    account_id = models.BigIntegerField()
    day = models.DateField()
    opening_minor = models.BigIntegerField()
    debits_minor = models.BigIntegerField(default=0)
    credits_minor = models.BigIntegerField(default=0)  # Positive.
    closing_minor = models.BigIntegerField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="ledger_daily_adds_up",
                condition=Q(
                    closing_minor=models.F("opening_minor") + models.F("debits_minor") - models.F("credits_minor")
                ),
            ),
        )


class Block(models.Model):
    """A sealed range of transaction ids: SHA-256 over the block before and the leaves in the order of their ids."""

    height = models.BigIntegerField(primary_key=True)
    first_xid = models.BigIntegerField()
    cut_xid = models.BigIntegerField(unique=True)  # Exclusive.
    previous_hash = models.BinaryField(max_length=32)
    block_hash = models.BinaryField(max_length=32)
    leaf_count = models.IntegerField()
    sealed_at = models.DateTimeField()


class Leaf(models.Model):
    """The seal of one transfer. `marks` holds eight bytes of each leg's hash, so that a changed leg can be named."""

    transfer_id = models.BigIntegerField(primary_key=True)
    height = models.BigIntegerField()
    leaf_hash = models.BinaryField(max_length=32)
    marks = models.BinaryField()

    class Meta:
        indexes = (models.Index(fields=("height", "transfer_id"), name="ledger_leaf_of_block"),)
