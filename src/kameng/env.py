"""Everything that differs between deployments, read from the environment and checked at start."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

REPO = Path(__file__).resolve().parents[2]


class Env(BaseSettings):
    """Names in the environment are the upper-case field names, or the alias."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    database_url: str = Field(default="", description="The app's log-in (role kameng_app).")
    database_owner_url: str = Field(default="", description="The owner's log-in: migrations and provisioning.")
    redis_url: str = Field(default="redis://127.0.0.1:6379/0")
    data: Path = Field(default=REPO / ".data", alias="KAMENG_DATA")
    port: int = Field(default=8000, alias="PORT")
    base_domain: str = Field(default="localhost", alias="KAMENG_BASE_DOMAIN")
    scheme: str = Field(default="http", alias="KAMENG_SCHEME")
    public_port: str = Field(
        default="", alias="KAMENG_PUBLIC_PORT", description="In addresses; empty: PORT; '-': none."
    )
    secret_key: str = Field(default="", alias="KAMENG_SECRET_KEY")
    code_keys: str = Field(default="", alias="KAMENG_CODE_KEYS", description="JSON key ring for codes and secrets.")
    debug: bool = Field(default=False, alias="KAMENG_DEBUG")
    currency: str = Field(default="CNY", alias="KAMENG_CURRENCY")
    time_zone: str = Field(default="Asia/Shanghai", alias="KAMENG_TIME_ZONE")
    testpay_url: str = Field(default="", alias="KAMENG_TESTPAY_URL")
    testpay_secret: str = Field(default="", alias="KAMENG_TESTPAY_SECRET")
    stripe_api_url: str = Field(default="", alias="KAMENG_STRIPE_API_URL", description="Empty: Stripe's own.")
    spare_schemas: int = Field(default=5, alias="KAMENG_SPARE_SCHEMAS")
    pow_bits: int = Field(default=16, alias="KAMENG_POW_BITS")
    second_factor_for_all: bool = Field(
        default=False, alias="KAMENG_SECOND_FACTOR_FOR_ALL",
        description="Nobody uses the billing console without a second factor; else it is asked for money and codes.",
    )  # fmt: skip
    seller_name: str = Field(default="Kameng", alias="KAMENG_SELLER_NAME", description="Who bills, on invoices.")
    seller_details: str = Field(
        default="", alias="KAMENG_SELLER_DETAILS", description="Address and tax number on invoices; lines parted by |."
    )
    closing_hours: int = Field(
        default=24, alias="KAMENG_CLOSING_HOURS", description="A closing can be called off so long."
    )
    domain_hold_days: int = Field(default=30, alias="KAMENG_DOMAIN_HOLD_DAYS")
    address_hold_days: int = Field(default=365, alias="KAMENG_ADDRESS_HOLD_DAYS")
    retention_days: int = Field(
        default=0,
        alias="KAMENG_RETENTION_DAYS",
        description="A closed shop is erased after so many days; 0: by a person.",
    )
    lead_retention_days: int = Field(
        default=180,
        ge=1,
        alias="KAMENG_LEAD_RETENTION_DAYS",
        description="The contact of somebody who asked for a shop is removed after so many days.",
    )
    dns_resolvers: str = Field(
        default="", alias="KAMENG_DNS_RESOLVERS", description="192.0.2.53:53,…; empty: the machine's own."
    )
    ingress: str = Field(
        default="",
        alias="KAMENG_INGRESS",
        description="Our public addresses, for A records of shops' domains: 203.0.113.7,…",
    )
    proxies: str = Field(
        default="",
        alias="KAMENG_PROXIES",
        description="Addresses of proxies beside loopback that may ask about certificates.",
    )
    domain_test_endings: str = Field(
        default="", alias="KAMENG_DOMAIN_TEST_ENDINGS", description="Endings that are no public ones: for trials only."
    )
    email_url: str = Field(default="", alias="EMAIL_URL", description="smtp://user:password@host:port; empty: mailbox.")
    log_level: str = Field(default="INFO", alias="KAMENG_LOG_LEVEL")

    @property
    def authority(self) -> str:
        """`:8000`, or nothing where the public port is the scheme's own."""
        port = self.public_port or str(self.port)
        return "" if port == "-" or (self.scheme, port) in {("http", "80"), ("https", "443")} else f":{port}"
