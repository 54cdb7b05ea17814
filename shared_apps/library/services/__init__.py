"""Everything that writes the library."""

from shared_apps.library.services._editing import (
    LibraryInvalid,
    RowUnknown,
    create_brand,
    create_category,
    create_product,
    create_sku,
    nudge,
    set_supply_prices,
    update_brand,
    update_category,
    update_product,
    update_sku,
)
from shared_apps.library.services._exporting import export_csv, export_rows, export_xlsx
from shared_apps.library.services._importing import execute_run, import_checked, import_library, start_import
from shared_apps.library.services._pictures import PictureRefused, set_picture, store_picture
from shared_apps.library.services._runs import (
    KEPT_PROBLEMS,
    RunUnknown,
    UploadLost,
    Work,
    create_run,
    discard,
    executing,
    find_run,
    is_kept,
)

__all__ = [
    "KEPT_PROBLEMS",
    "LibraryInvalid",
    "PictureRefused",
    "RowUnknown",
    "RunUnknown",
    "UploadLost",
    "Work",
    "create_brand",
    "create_category",
    "create_product",
    "create_run",
    "create_sku",
    "discard",
    "execute_run",
    "executing",
    "export_csv",
    "export_rows",
    "export_xlsx",
    "find_run",
    "is_kept",
    "import_checked",
    "import_library",
    "nudge",
    "set_picture",
    "set_supply_prices",
    "start_import",
    "store_picture",
    "update_brand",
    "update_category",
    "update_product",
    "update_sku",
]
