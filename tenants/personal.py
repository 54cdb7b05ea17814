"""Which columns of the shared schema hold what is somebody's own, and what an erasure makes of each: the one list.

`tests/tenants/test_personal.py` goes through every model of the shared schema: a column whose name or kind could be
personal stands here, in `ERASED` or in `KEPT` with its reason, or the test fails.

Tables are named as the database has them: `tenants` imports no other app.
"""

from __future__ import annotations

from dataclasses import dataclass, field

GONE = "[erased]"
# Who acted, where that was one of the shop's own people: their name goes, the main station's people's stays.
_BY = "CASE WHEN {0} = ANY(%(people)s::text[]) THEN '[erased]' ELSE {0} END"


def _by(column: str) -> str:
    return _BY.format(f'"{column}"')


@dataclass(frozen=True)
class Erased:
    """What becomes of one substation's rows of a table. SQL with the places %(id)s, %(public_id)s, %(people)s.

    Attributes:
        where: Which rows are the shop's.
        columns: Column → the expression that takes its place.
        delete: The rows go as a whole.
    """

    table: str
    where: str
    columns: dict[str, str] = field(default_factory=dict)
    delete: bool = False

    @property
    def sql(self) -> str:
        if self.delete:
            return f"DELETE FROM public.{self.table} WHERE {self.where}"
        changes = ", ".join(f'"{column}" = {expression}' for column, expression in self.columns.items())
        return f"UPDATE public.{self.table} SET {changes} WHERE {self.where}"


_OWN = "substation_id = %(id)s"
ERASED: tuple[Erased, ...] = (
    Erased("tenants_signupstep", "signup_id IN (SELECT id FROM tenants_signup WHERE substation_id = %(id)s)", delete=True),
    Erased("tenants_signup", _OWN, delete=True),
    Erased("tenants_domainclaim", _OWN, delete=True),
    Erased("tenants_domain", "tenant_id = %(id)s", delete=True),
    Erased("tenants_syncstate", _OWN, delete=True),
    Erased(
        "tenants_substation", "id = %(id)s",
        {
            "owner_email": "'erased@invalid'", "owner_name": "''", "suspended_reason": "''", "schema_problem": "''",
            "preset": "''", "region": "''",
        },
    ),
    # Contacts of people who asked are theirs, not the shop's: removed after LEAD_RETENTION_DAYS (regions.forget_leads).
    Erased("regions_lead", "grant_id IN (SELECT id FROM regions_regiongrant WHERE substation_id = %(id)s)",
           {"answered_by": _by("answered_by")}),
    Erased("regions_regiongrant", _OWN, {"ended_by": _by("ended_by"), "note": "''"}),
    Erased("tenants_substationstep", _OWN, {"by": _by("by"), "reason": "CASE WHEN reason = '' THEN '' ELSE '[erased]' END"}),
    Erased("tenants_shopexport", _OWN, {"by": _by("by"), "by_ip": "''", "by_id": "NULL", "problem": "''"}),
    # Invoices stay, as the law wants; whom they were sent to, beside the shop's name, goes.
    Erased("billing_invoice", _OWN, {"buyer_details": "CASE WHEN buyer_details = '' THEN '' ELSE '[erased]' END"}),
    Erased("billing_subscription", _OWN, {"stripe_customer": "''"}),
    Erased("billing_paymentpage", _OWN, {"url": "''", "ask_at": "NULL"}),
    Erased("receipts_networkorder", _OWN, {"contact_hint": "''"}),
    Erased("receipts_refund", _OWN, {"reason": "'[erased]'", "by": _by("by"), "problem": "''"}),
    # The terms themselves are the main station's own; who of the shop's is named in them goes.
    Erased(
        "library_privateprice", _OWN,
        {"note": "CASE WHEN note = '' THEN '' ELSE '[erased]' END", "by": _by("by"), "ended_by": _by("ended_by")},
    ),
    Erased(
        "receipts_casenote", "case_id IN (SELECT id FROM receipts_paymentcase WHERE substation_id = %(id)s)",
        {"text": "'[erased]'", "by": _by("by")},
    ),
    Erased(
        "receipts_paymentcase", _OWN,
        {"evidence": "CASE WHEN evidence = '' THEN '' ELSE '[erased]' END", "settled_by": _by("settled_by")},
    ),
    # Nothing personal: only, nobody asks a channel about the payments of a shop that has no tables any more.
    Erased("receipts_announced", _OWN, {"ask_at": "NULL"}),
    # What a channel told us in its own words: name, mail and address of who paid. Receipts keep what the books need.
    Erased(
        "receipts_inboxevent",
        "payment_id IN (SELECT payment_id FROM receipts_announced WHERE substation_id = %(id)s) "
        "OR account_id IN (SELECT id FROM receipts_merchantaccount WHERE substation_id = %(id)s)",
        {"body": "''::bytea", "headers": "'{}'::jsonb", "problem": "''"},
    ),
    # The shop's own account at a channel: its keys open it, wherever they are read.
    Erased(
        "receipts_merchantaccount", _OWN,
        {"credentials": "''::bytea", "enabled": "false", "name": "'[erased]'", "api_base": "''"},
    ),
    Erased(
        "stock_codereveal", _OWN,
        {"actor_label": "'[erased]'", "ip": "''", "reason": "'[erased]'"},
    ),
    Erased(
        # Of the shop, or by one of its people: whose label is no main-station person's too.
        "accounts_auditrecord",
        "target = %(public_id)s OR (actor_label = ANY(%(people)s::text[]) AND actor_label NOT IN "
        "(SELECT name FROM public.accounts_user UNION ALL SELECT email FROM public.accounts_user))",
        {
            "actor_label": _by("actor_label"),
            "ip": "CASE WHEN actor_label = ANY(%(people)s::text[]) THEN '' ELSE ip END",
            "details": "details - 'reason' - 'domain' - 'owner'",
        },
    ),
)  # fmt: skip

# Tables that hold nothing of a shop's people or buyers, whatever their columns are called.
KEPT_TABLES: dict[str, str] = {
    "regions_region": "Places, of a public list.",
    "library_category": "The main station's goods.",
    "library_brand": "The main station's goods.",
    "library_product": "The main station's goods.",
    "library_sku": "The main station's goods.",
    "ledger_block": "Digests of the chain.",
    "accounts_authenticator": "The main station's own people; a shop's stand in its schema and go with it.",
    "accounts_passkey": "The main station's own people.",
    "accounts_recoverycode": "The main station's own people.",
    "accounts_staffrole": "The main station's own roles.",
    "accounts_staffsession": "The main station's own people.",
    "ledger_leaf": "Digests of the chain.",
}
# Columns that look personal and stay. Why, in a few words: it is what an auditor asks.
KEPT: dict[tuple[str, str], str] = {
    ("tenants_shopexport", "by_kind"): "A kind.",
    ("regions_regiongrant", "granted_by"): "The main station's person.",
    ("regions_lead", "name"): "Of somebody who asked: removed after LEAD_RETENTION_DAYS, or when they wish.",
    ("regions_lead", "phone"): "Of somebody who asked: removed after LEAD_RETENTION_DAYS, or when they wish.",
    ("regions_lead", "email"): "Of somebody who asked: removed after LEAD_RETENTION_DAYS, or when they wish.",
    ("regions_lead", "message"): "Of somebody who asked: removed after LEAD_RETENTION_DAYS, or when they wish.",
    ("tenants_substation", "slug"): "Held for a time, so that its visitors are told that it is gone; then a number.",
    ("tenants_substation", "schema_name"): "A number; replaced when the schema is gone.",
    ("tenants_erasurerecord", "schema_name"): "A number.",
    ("tenants_spareschema", "schema_name"): "A number.",
    ("jobs_job", "schema_name"): "A number.",
    ("accounts_apitoken", "digest"): "The main station's own programs.",
    ("accounts_idempotencyrecord", "digest"): "A digest, gone after a day.",
    ("ledger_transfer", "digest"): "A digest of numbers.",
    ("stock_code", "blind_index"): "A digest of a code.",
    ("tenants_substation", "name"): "A trade name; books and invoices refer to the shop by it.",
    ("tenants_heldaddress", "slug"): "An address, held so that nobody poses as the erased shop.",
    ("tenants_plan", "name_zh"): "A plan's name.",
    ("billing_changequote", "lines"): "Plans, spans of time and sums.",
    ("billing_invoice", "buyer_name"): "A trade name, on a paper that the law keeps.",
    ("billing_invoice", "seller_name"): "The main station's own.",
    ("billing_invoice", "seller_details"): "The main station's own.",
    ("billing_invoiceline", "text_zh"): "What was charged: a plan, a span of time.",
    ("billing_invoiceline", "text_en"): "What was charged: a plan, a span of time.",
    ("tenants_plan", "name_en"): "A plan's name.",
    ("tenants_erasurerecord", "by"): "The main station's person who erased it: the proof names them.",
    ("tenants_erasurerecord", "reason"): "Why it was erased, in the main station's words.",
    ("tenants_erasurerecord", "tables"): "Numbers and digests.",
    ("tenants_erasurerecord", "shared"): "Numbers.",
    ("tenants_erasurerecord", "counts"): "Numbers.",
    ("tenants_schemascript", "sql"): "The schema's script; no row of anybody's.",
    ("tenants_schemaupgrade", "sql"): "An upgrade's script; no row of anybody's.",
    ("tenants_syncstate", "error"): "A machine's words; the row goes with the shop.",
    ("jobs_job", "payload"): "The shop's jobs are deleted as a whole; the main station's carry ids.",
    ("jobs_job", "last_error"): "The shop's jobs are deleted as a whole.",
    (
        "ledger_transfer",
        "memo",
    ): "Sealed by the chain: it can't be changed. Holds ids and reasons of the rules, no person.",
    ("ledger_account", "code"): "Made of ids.",
    ("accounts_user", "email"): "The main station's own people.",
    ("accounts_user", "name"): "The main station's own people.",
    ("accounts_apitoken", "name"): "The main station's own programs.",
    ("accounts_apitoken", "scopes"): "The main station's own programs.",
    ("accounts_idempotencyrecord", "body"): "Sealed, and gone after a day.",
    ("receipts_networkorder", "lines"): "What was sold: goods, no person.",
    ("receipts_receipt", "detail"): "A word of the channel's own list.",
    ("library_importrun", "by"): "The main station's person.",
    ("library_importrun", "filename"): "The main station's file.",
    ("library_importrun", "report"): "Rows of the main station's file.",
    ("library_importrun", "options"): "Settings of an import.",
    ("library_importrun", "problem"): "About the main station's file.",
    ("stock_codebatch", "by"): "The main station's person.",
    ("stock_codebatch", "note"): "About goods that the main station bought.",
    ("stock_code", "blob"): "A sold code, encrypted; what was sold is traced by law and by complaint.",
    ("splits_splitrule", "plan_fees"): "Rates.",
    ("splits_splitrule", "channel_fees"): "Rates.",
    ("splits_splitrule", "note"): "The main station's words about its rates.",
}
