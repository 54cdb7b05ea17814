"""Everything that writes the stock of the main station. What a shop may do to it are the functions of schema `gate`."""

from shared_apps.stock.services._archiving import archived_codes
from shared_apps.stock.services._batches import BatchUnknown
from shared_apps.stock.services._counting import CountRefused, NotCounted, count_now, note_moves, roll_up, set_count
from shared_apps.stock.services._expiring import EXPIRY_PATIENCE, release_expired
from shared_apps.stock.services._importing import ImportRefused, import_codes
from shared_apps.stock.services._revealing import CodeUnknown, export_codes, reveal_for_staff
from shared_apps.stock.services._rotating import rotate
from shared_apps.stock.services._runs import execute_run, import_checked, start_import
from shared_apps.stock.services._voiding import void_codes

__all__ = [
    "EXPIRY_PATIENCE",
    "BatchUnknown",
    "CodeUnknown",
    "CountRefused",
    "ImportRefused",
    "NotCounted",
    "archived_codes",
    "count_now",
    "execute_run",
    "export_codes",
    "import_checked",
    "import_codes",
    "note_moves",
    "release_expired",
    "reveal_for_staff",
    "roll_up",
    "rotate",
    "set_count",
    "start_import",
    "void_codes",
]
