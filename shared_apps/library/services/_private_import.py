"""Private terms from a file: a row a SKU, every row checked first; then all are written in one transaction, or none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib.tabular import Column, Report, cells, read_rows
from kameng.lib.words import worded
from shared_apps.library import selectors
from shared_apps.library.models import ImportRun, Sku
from shared_apps.library.services import _runs as runs
from shared_apps.library.services._private import LONGEST, NOTE_CHARS, lock_terms, set_private_prices
from shared_apps.library.states import RunState
from shared_apps.library.types import PrivateImport
from tenants.models import Substation
from tenants.selectors import substation as substation_of

SUBJECT = "TERMS"
KIND = "library.import_terms"
_MOMENT_CURE = _("Write it like 2026-12-31 or 2026-12-31 18:00.")


def _moment(*, day_ends: bool) -> cells.CellParser:
    """A day or a moment by the station's clock, or one that bears its zone; of a day its beginning or its end."""

    def parse(cell: str) -> datetime:
        text = cell.strip().replace("/", "-")
        whole_day = len(text) <= len("2026-12-31")
        try:
            found = parse_datetime(f"{text} 00:00" if whole_day else text)
        except ValueError:
            found = None
        if found is None:
            raise cells.CellRefused(_("This is no date."), _MOMENT_CURE, "cell_not_a_date")
        try:
            moment = found if timezone.is_aware(found) else timezone.make_aware(found)
            if whole_day and day_ends:
                moment = timezone.make_aware(datetime.combine(found.date() + timedelta(days=1), time()))
            return moment.astimezone(UTC)
        except OverflowError:
            raise cells.CellRefused(_("This is no date."), _MOMENT_CURE, "cell_not_a_date") from None

    return parse


COLUMNS = (
    Column("sku", cells.slug_code(60), ("SKU code", "SKU 编号", "SKU编码", "商品编码", "编号"), required=True),
    Column("price", cells.unit_price(), ("private price", "密价", "供货价", "价格"), required=True),
    Column("starts", _moment(day_ends=False), ("from", "begins", "开始", "生效", "起")),
    Column("ends", _moment(day_ends=True), ("until", "结束", "截止", "止")),
    Column("note", cells.text(NOTE_CHARS), ("备注",), default=""),
    # What the list's export has beside these.
    *(
        Column(name, ignored=True, aliases=aliases)
        for name, aliases in (
            ("product", ("商品", "产品")), ("name", ("规格",)), ("currency", ("币种", "货币")),
            ("plan_price", ("plan's price", "版本供货价")), ("difference", ("差价",)), ("state", ("状态",)),
            ("by", ("操作人",)), ("ended_by", ("ended by", "结束人")),
        )
    ),
)  # fmt: skip


def import_private_prices(
    *, substation: Substation, stream: BinaryIO, filename: str, by: Actor, now: datetime, dry_run: bool = False,
    accept_good: bool = False,
) -> PrivateImport:  # fmt: skip
    """Set a shop's private prices from a CSV or XLSX file. With bad rows in it nothing is written, unless `accept_good`.

    A row whose beginning is over begins now. Opens its own transactions.
    Raises: the FileRefused family, ShopHasNoTerms (nothing is written).
    """
    reader = read_rows(stream, filename, COLUMNS)
    result = PrivateImport(reader.report)
    with in_main():
        checker = _Checker(substation, reader.report, now)
    spans: dict[tuple[datetime | None, datetime | None, str], dict[int, Decimal]] = {}
    for number, values in reader:
        sku_id = checker.check(number, values)
        if sku_id is not None:
            starts = values["starts"] if values["starts"] is not None and values["starts"] > now else None
            spans.setdefault((starts, values["ends"], values["note"]), {})[sku_id] = values["price"]
    checker.warn()
    if dry_run or not (reader.report.ok or accept_good):
        return result
    with in_main(), transaction.atomic():
        lock_terms(substation.pk)
        for (starts, ends, note), prices in spans.items():
            done = set_private_prices(
                substation_id=substation.pk, prices=prices, starts_at=starts, ends_at=ends, note=note, by=by, now=now,
                file=reader.report.filename,
            )  # fmt: skip
            result.prices_set += done.written
            result.prices_replaced += done.replaced
    result.applied = True
    return result


class _Checker:
    """What only the whole file and the library together can tell about a row."""

    def __init__(self, substation: Substation, report: Report, now: datetime) -> None:
        self._report, self._now = report, now
        self._row_of_sku: dict[int, int] = {}
        self._skus: dict[str, tuple[int, Decimal | None]] = {
            code: (pk, floor) for code, pk, floor in Sku.objects.values_list("code", "pk", "floor")
        }
        self._cheapest = selectors.cheapest_plan_prices()
        self.above_floor = self.below_all = self.begun = 0

    def check(self, row: int, values: Mapping[str, Any]) -> int | None:
        """The SKU's id, or None after what is wrong was reported."""
        code, price = values["sku"], values["price"]
        before = self._report.errors_total
        sku_id, floor = self._skus.get(code, (0, None))
        if not sku_id:
            cure = _("Correct the code, or add the SKU to the library first.")
            self._report.refuse(row, "sku", code, _("There is no such SKU."), cure, "sku_unknown")
        elif (first := self._row_of_sku.setdefault(sku_id, row)) != row:
            problem = worded(_("Row %(row)s has the same SKU."), row=first)
            self._report.refuse(row, "sku", code, problem, _("Leave one of the two rows out."), "sku_repeated")
        begins = max(values["starts"] or self._now, self._now)
        for column in ("starts", "ends"):
            moment = values[column]
            if moment is not None and moment > self._now + LONGEST:
                cure = _("Write an earlier day, or none.")
                self._report.refuse(
                    row, column, moment.isoformat(" "), _("A hundred years ahead at most."), cure, "too_far"
                )
        if values["ends"] is not None and values["ends"] <= begins:
            problem = _("It ends before it begins, or it is over.")
            self._report.refuse(
                row, "ends", values["ends"].isoformat(" "), problem, _("Write a later day, or none."), "span_empty"
            )
        if self._report.errors_total > before:
            return None
        self.above_floor += floor is not None and price > floor
        self.below_all += price < self._cheapest.get(sku_id, Decimal(0))
        self.begun += values["starts"] is not None and values["starts"] < self._now
        return sku_id

    def warn(self) -> None:
        for count, message in (
            (self.above_floor, _("%(count)s private prices lie above their SKU's floor.")),
            (self.below_all, _("%(count)s private prices lie below what any plan pays.")),
            (self.begun, _("%(count)s rows begin in the past; they begin when the file is imported.")),
        ):
            if count:
                self._report.warn(worded(message, count=count))


def start_terms_import(
    *, substation: Substation, stream: BinaryIO, filename: str, by: Actor, now: datetime, dry_run: bool = True
) -> ImportRun:
    """Keep an uploaded file of private prices and queue its check. In the caller's main transaction. Raises: FileTooLarge."""
    run = runs.create_run(
        subject=SUBJECT, stream=stream, filename=filename, by=by, now=now, dry_run=dry_run,
        options={"substation": substation.public_id},
    )  # fmt: skip
    jobs.enqueue(kind=KIND, payload={"run": run.public_id}, dedupe=run.public_id)
    return run


def import_checked_terms(*, run: str, accept_good: bool, by: Actor, now: datetime) -> ImportRun:
    """Write what a dry run has checked. In the caller's main transaction. Raises: RunUnknown, UploadLost."""
    return runs.follow_up(run=run, kind=KIND, accept_good=accept_good, by=by, now=now)


def execute_terms_run(*, run: str, now: datetime) -> ImportRun:
    """Do what `start_terms_import` queued; safe to repeat after a kill. Opens its own transactions."""
    with runs.executing(run=run, now=now) as work:
        if work is None:
            return runs.find_run(run)
        with in_main():
            shop = substation_of(work.row.options["substation"])
        with work.open() as stream:
            result = import_private_prices(
                substation=shop, stream=stream, filename=work.row.filename, by=work.by, now=now, dry_run=work.row.dry_run,
                accept_good=work.row.accept_good,
            )  # fmt: skip
        work.progress(result.report.rows, result.report.good, result.report.bad, 1)
        refused = not (result.applied or work.row.dry_run)
        problems = [error.as_dict() for error in result.report.errors[: runs.KEPT_PROBLEMS]]
        work.conclude(result.as_json(errors=0), problems, RunState.REFUSED if refused else RunState.DONE)
    return runs.find_run(run)
