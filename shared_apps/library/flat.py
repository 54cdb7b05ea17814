"""The one flat file of the library: a row per SKU, with its product's columns repeated. For import and export alike."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

from kameng.lib.tabular import Column, cells
from shared_apps.library import fields
from shared_apps.library.models import Delivery, Kind, StockPolicy
from tenants.states import SupplyLevel

PATH = ">"  # Between the parts of a category's path: games > steam.
MAX_DEPTH = 4


class CategoryPath(NamedTuple):
    """A category and those above it, the topmost first."""

    parts: tuple[str, ...]


def _choices(labels: type, aliases: dict[str, tuple[str, ...]]) -> cells.CellParser:
    values: list[str] = labels.values  # type: ignore[attr-defined]
    return cells.choice({value: aliases.get(value, ()) for value in values})


def slug_path(cell: str) -> CategoryPath:
    """`games > steam` to its slugs. Raises CellRefused."""
    slug = cells.slug(60)
    return _path(cell, slug)


def name_path(cell: str) -> CategoryPath:
    """`游戏 > Steam` to its names. Raises CellRefused."""
    return _path(cell, cells.text(120))


def _path(cell: str, part: cells.CellParser) -> CategoryPath:
    parts = tuple(part(piece) for piece in cell.replace("＞", PATH).split(PATH))
    if len(parts) > MAX_DEPTH or not all(parts):
        problem = _("A category's path has one to four parts.")
        raise cells.CellRefused(problem, _("Write it like games > steam."), "cell_not_a_path")
    return CategoryPath(parts)


def picture(cell: str) -> str:
    """The name of a file under /files/library/. Raises CellRefused."""
    value: str = cells.text(200)(cell)
    if "/" in value or "\\" in value or value.startswith("."):
        cure = _("Write the picture's file name without a folder.")
        raise cells.CellRefused(_("This is not a file name."), cure, "cell_not_a_file")
    return value


KINDS = _choices(
    Kind,
    {
        "CARD_CODE": ("card code", "卡密", "点卡", "卡券"),
        "TOP_UP": ("top-up", "topup", "直充", "充值"),
        "MEMBERSHIP": ("会员",),
        "LICENCE": ("license", "软件授权", "激活码"),
        "SERVICE": ("virtual service", "服务", "虚拟服务"),
        "COURSE": ("课程",),
        "BUNDLE": ("组合", "套餐"),
        "PHYSICAL": ("physical goods", "实物"),
    },
)
DELIVERIES = _choices(Delivery, {"CODES": ("instant", "自动发货", "卡密"), "MANUAL": ("by hand", "人工", "人工发货")})
POLICIES = _choices(
    StockPolicy,
    {"CODES": ("卡密", "一码一件"), "COUNTED": ("count", "数量", "按数量"), "UNLIMITED": ("无限", "不限", "不限量")},
)

SKU_COLUMNS = (
    Column("sku", cells.slug_code(60), ("SKU code", "SKU 编号", "SKU编码", "商品编码", "编号"), required=True),
    Column("sku_zh", cells.text(120), ("SKU name", "SKU 名称", "规格", "规格名称", "面额名称"), default=""),
    Column("sku_en", cells.text(120), ("SKU name en", "SKU English name", "规格英文"), default=""),
    Column("face_value", cells.unit_price(), ("face value", "面值", "面额")),
    Column("currency", fields.currency, ("币种", "货币")),
    Column("suggested", cells.unit_price(), ("suggested price", "建议价", "建议零售价", "指导价")),
    Column("floor", cells.unit_price(), ("lowest price", "最低价", "限价下限", "最低限价")),
    Column("ceiling", cells.unit_price(), ("highest price", "最高价", "限价上限", "最高限价")),
    Column("stock_policy", POLICIES, ("stock policy", "库存方式", "库存策略")),
    Column("low_stock_at", cells.integer(0, 1_000_000_000), ("low stock at", "库存预警", "低库存线"), default=10),
    Column("sku_sort", cells.integer(-1_000_000, 1_000_000), ("SKU 排序",), default=0),
    Column("active", cells.boolean, ("SKU active", "上架", "启用", "是否启用"), default=True),
)
SUPPLY_COLUMNS = (
    Column("supply_basic", cells.unit_price(), ("supply price basic", "基础版供货价", "基础供货价")),
    Column("supply_pro", cells.unit_price(), ("supply price pro", "专业版供货价", "专业供货价")),
    Column("supply_flagship", cells.unit_price(), ("supply price flagship", "旗舰版供货价", "旗舰供货价")),
)
PRODUCT_COLUMNS = (
    Column("product", cells.slug(80), ("product slug", "商品标识", "产品标识", "商品"), required=True),
    Column("product_zh", cells.text(120), ("product name", "商品名称", "产品名称", "名称"), default=""),
    Column("product_en", cells.text(120), ("product name en", "商品英文名", "产品英文名"), default=""),
    Column("kind", KINDS, ("type", "商品类型", "类型")),
    Column("delivery", DELIVERIES, ("发货方式", "交付方式")),
    Column("summary_zh", cells.text(240), ("summary", "简介", "摘要"), default=""),
    Column("summary_en", cells.text(240), ("英文简介",), default=""),
    Column("description_zh", cells.text(20_000, multiline=True), ("description", "商品描述", "详情"), default=""),
    Column("description_en", cells.text(20_000, multiline=True), ("英文描述", "英文详情"), default=""),
    Column("usage_zh", cells.text(20_000, multiline=True), ("usage", "使用说明", "使用方法"), default=""),
    Column("usage_en", cells.text(20_000, multiline=True), ("英文使用说明",), default=""),
    Column("buyer_fields", fields.buyer_fields, ("buyer fields", "买家填写", "下单字段"), default=[]),
    Column("picture", picture, ("图片", "主图"), default=""),
    Column("tags", cells.list_of(cells.text(30), max_items=20), ("标签",), default=[]),
    Column("product_sort", cells.integer(-1_000_000, 1_000_000), ("商品排序", "排序"), default=0),
    Column("product_active", cells.boolean, ("商品启用",), default=True),
)
CATEGORY_COLUMNS = (
    Column("category", slug_path, ("category slug", "分类标识", "类目标识")),
    Column("category_zh", name_path, ("category name", "分类", "分类名称", "类目")),
    Column("category_en", name_path, ("category name en", "分类英文名")),
)
BRAND_COLUMNS = (
    Column("brand", cells.slug(60), ("brand slug", "品牌标识")),
    Column("brand_zh", cells.text(120), ("brand name", "品牌", "品牌名称"), default=""),
    Column("brand_en", cells.text(120), ("brand name en", "品牌英文名"), default=""),
    Column("brand_colour", fields.colour, ("brand color", "品牌颜色"), default=""),
)
COLUMNS = (*SKU_COLUMNS, *SUPPLY_COLUMNS, *PRODUCT_COLUMNS, *CATEGORY_COLUMNS, *BRAND_COLUMNS)
HEADERS = tuple(column.name for column in COLUMNS)
LEVELS = {f"supply_{level.lower()}": level for level in SupplyLevel.values}

# File column → table column. What can't be blank keeps its value when the cell is blank.
SKU_FIELDS = {
    "sku_zh": "name_zh",
    "sku_en": "name_en",
    "face_value": "face_value",
    "currency": "currency",
    "suggested": "suggested",
    "floor": "floor",
    "ceiling": "ceiling",
    "stock_policy": "stock_policy",
    "low_stock_at": "low_stock_at",
    "sku_sort": "sort",
    "active": "active",
}
PRODUCT_FIELDS = {
    "product_zh": "name_zh",
    "product_en": "name_en",
    "kind": "kind",
    "delivery": "delivery",
    "summary_zh": "summary_zh",
    "summary_en": "summary_en",
    "description_zh": "description_zh",
    "description_en": "description_en",
    "usage_zh": "usage_zh",
    "usage_en": "usage_en",
    "buyer_fields": "buyer_fields",
    "picture": "picture",
    "tags": "tags",
    "product_sort": "sort",
    "product_active": "active",
}
NEEDED_OF_NEW_SKU = ("sku_zh", "suggested", "stock_policy")
NEEDED_OF_NEW_PRODUCT = ("product_zh", "category", "kind", "delivery")
KEEP_WHEN_BLANK = frozenset({*NEEDED_OF_NEW_SKU, *NEEDED_OF_NEW_PRODUCT, "currency"})


def cell(value: Any) -> Any:
    """A stored value as it stands in the file; lists of objects as JSON."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return json.dumps(value, ensure_ascii=False)
    return value
