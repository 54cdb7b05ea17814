"""Money: integers in the minor unit once settled, Decimal with four places while it is a unit price.

Rounding happens once, at the line total, in `line_total_minor`. No floats, anywhere.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, InvalidOperation

UNIT_PLACES = Decimal("0.0001")  # Cheap units (a QQ coin, a megabyte) cost less than a cent.
BPS = 10_000
# ISO 4217 minor-unit exponents of the currencies that the product sells in.
EXPONENTS: dict[str, int] = {"CNY": 2, "USD": 2, "EUR": 2, "HKD": 2, "TWD": 2, "JPY": 0, "MYR": 2, "SGD": 2}
SYMBOLS: dict[str, str] = {
    "CNY": "¥",
    "USD": "$",
    "EUR": "€",
    "HKD": "HK$",
    "TWD": "NT$",
    "JPY": "JP¥",
    "MYR": "RM",
    "SGD": "S$",
}
MINUS = "\u2212"


def exponent(currency: str) -> int:
    """Digits after the point of `currency`. Raises KeyError for a currency we do not sell in."""
    return EXPONENTS[currency]


def parse_unit(text: str) -> Decimal:
    """A unit price as typed ("12", "¥1,234.50") to Decimal with four places.

    Raises ValueError for anything that is not a finite number or has more than four places.
    """
    cleaned = text.strip().replace(",", "").lstrip("¥￥$").strip()
    try:
        value = Decimal(cleaned)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not value.is_finite():
        raise ValueError(text)
    try:
        quantized = value.quantize(UNIT_PLACES)
    except InvalidOperation as error:  # More digits than the context holds: 10^30 and the like.
        raise ValueError(text) from error
    if quantized != value:
        raise ValueError(text)
    return quantized


def line_total_minor(unit: Decimal, quantity: int, currency: str = "CNY") -> int:
    """`unit` × `quantity` in minor units, rounded half up, once."""
    return int((unit * quantity).scaleb(exponent(currency)).to_integral_value(rounding=ROUND_HALF_UP))


def line_cost_minor(unit: Decimal, quantity: int, currency: str = "CNY") -> int:
    """What a line costs its seller in minor units, rounded up: the supplier is never short of a fraction."""
    return int((unit * quantity).scaleb(exponent(currency)).to_integral_value(rounding=ROUND_CEILING))


def share_bps_minor(amount_minor: int, bps: int) -> int:
    """`bps` ten-thousandths of a non-negative amount, rounded half up in integers."""
    return (amount_minor * bps + BPS // 2) // BPS


def minor_to_decimal(amount_minor: int, currency: str = "CNY") -> Decimal:
    """1234 → Decimal("12.34")."""
    return Decimal(amount_minor).scaleb(-exponent(currency))


def decimal_to_minor(amount: Decimal, currency: str = "CNY") -> int:
    """Decimal("12.34") → 1234. Raises ValueError when it has a fraction of a minor unit."""
    scaled = amount.scaleb(exponent(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more places than {currency}")
    return int(scaled)


def format_minor(amount_minor: int, currency: str = "CNY") -> str:
    """123456 → "¥1,234.56"; negative amounts with a real minus sign in front."""
    sign = MINUS if amount_minor < 0 else ""
    return f"{sign}{SYMBOLS[currency]}{minor_to_decimal(abs(amount_minor), currency):,.{exponent(currency)}f}"


def format_unit(unit: Decimal, currency: str = "CNY") -> str:
    """A unit price with at least the currency's places and at most four: ¥12.50, ¥0.0085."""
    places = exponent(currency)
    text = f"{abs(unit):,.4f}"
    whole, fraction = text.split(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    sign = MINUS if unit < 0 else ""
    return f"{sign}{SYMBOLS[currency]}{whole}.{fraction}" if fraction else f"{sign}{SYMBOLS[currency]}{whole}"
