"""What the rest of the shop knows of its own face."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ShopInfo:
    """The shop as its pages show it. Frozen and picklable: it is kept in the cache, a copy per tenant."""

    name: str
    tagline: str
    logo: str  # A file name in the shop's public folder, or empty.
    accent: str  # "#rrggbb".
    notice: str
    about: str
    contact_qq: str
    contact_wechat: str
    contact_email: str
    service_hours: str
    language: str
    time_zone: str
    currency: str
    open: bool
    seo_title: str
    seo_description: str
    preset: str = ""
    # Not compared: no page of the shop shows it, and a dictionary has no hash.
    first_steps: dict[str, bool] = field(default_factory=dict, compare=False)

    @property
    def logo_url(self) -> str:
        """The logo's address on the shop's own host, or empty."""
        return f"/files/shop/{self.logo}" if self.logo else ""

    @property
    def contacts(self) -> list[tuple[str, str, str]]:
        """(kind, what is shown, address to open or empty), in the order of use in this trade."""
        given = [
            ("QQ", self.contact_qq, ""),
            ("WeChat", self.contact_wechat, ""),
            ("Email", self.contact_email, f"mailto:{self.contact_email}"),
        ]
        return [(kind, value, link) for kind, value, link in given if value]

    @property
    def contact(self) -> str:
        """One line for a footer: the first contact that there is."""
        return f"{self.contacts[0][0]} {self.contacts[0][1]}" if self.contacts else ""
