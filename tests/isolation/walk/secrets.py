"""Every place in the code that signs something or makes a secret, found in the sources; each with what the walk does.

A new place that stands in neither table fails the walk by its name, so that no signed link is added and never tried.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# What signs, and what draws lots, by its whole name, whatever a module has imported it as.
MAKERS = frozenset(
    {"django.core.signing.dumps", "django.core.signing.Signer", "django.core.signing.TimestampSigner",
     "django.utils.crypto.salted_hmac", "django.utils.crypto.get_random_string", "kameng.lib.ids.random_token",
     "hmac.digest", "hmac.new", "os.urandom", "uuid.uuid1", "uuid.uuid4"}
)  # fmt: skip
MODULES = ("secrets.",)  # All that these have.
METHODS = frozenset({"make_token", "set_signed_cookie", "sign_object"})  # Whosesoever.
# Programs beside the shops (servers of one machine, the test channel, benches), which answer nobody's browser.
ELSEWHERE = ("src/kameng/local/", "src/kameng/bench/", "src/kameng/testpay/", "src/kameng/cli/", "src/kameng/demo/")

# Carried to other hosts by `tests/isolation/test_walk_secrets.py`, under the same name.
CARRIED = {
    "kameng.accounts.recovery:make_pass": "password_link",
    "kameng.accounts.recovery:_fingerprint": "password_link",
    "kameng.accounts.support:make_pass": "support_pass",
    "kameng.accounts.tokens:create": "api_token",
    "tenant_apps.panel.views.people:tokens": "api_token",
    "tenants.archive.exports:make_link": "archive_link",
    "tenants.views:enter": "entry_pass",
    "tenants.signup:begin": "signup_token",
    "tenant_apps.orders.identity:new_token": "order_link",
    "tenant_apps.orders.identity:mailed_token": "order_link",
    "tenant_apps.orders.identity:new_lookup_secret": "order_password",
    "tenant_apps.orders.identity:lookup_digest": "order_password",
}
# Nothing that could be carried anywhere, and why.
STAYS = {
    "kameng.accounts.factors:_digest": "A recovery code is asked for beside a log-in of this host, which is carried in TestSessions.",
    "kameng.accounts.sessions:note_log_in": "A browser's mark, by which mail tells of new ones: it lets nobody in.",
    "kameng.middleware:RequestContext.__call__": "An id for the logs.",
    "kameng.middleware:ContentSecurity.__call__": "A nonce of one answer.",
    "kameng.ui.gallery_server:Nonce.__call__": "A nonce of one answer.",
    "kameng.accounts.models:User.get_session_auth_hash": "A fingerprint within a session, which is carried in TestSessions.",
    "kameng.lib.ids:public_id": "An id: whoever has it has a name, and no right.",
    "kameng.lib.ids:random_token": "Lots for the others.",
    "kameng.lib.crypto:KeyRing._seal": "A nonce of one sealed text.",
    "kameng.lib.crypto:_nonces": "Nonces of sealed texts.",
    "kameng.lib.crypto:_random_key": "A key of the copy's own, in its secrets.",
    "kameng.accounts.factors:_fresh_codes": "Recovery codes, asked for beside a log-in of this host (TestSessions).",
    "kameng.lib.crypto:KeyRing.blind_index": "An index in the main station's tables.",
    "kameng.lib.pow:issue": "A puzzle of the main station's signup; its solution opens nothing.",
    "kameng.lib.pow:_signature": "A puzzle of the main station's signup; its solution opens nothing.",
    "tenant_apps.orders.identity:new_number": "An order's number: a name, and no secret.",
    "tenant_apps.storefront.memory:<module>": "Places in a remembered page, of one process.",
    "tenants.signup:_code_digest": "Six digits beside a signup whose token is asked for as well.",
    "tenants.signup:resend": "Six digits beside a signup whose token is asked for as well.",
    "tenants.archive.exports:run": "Lots for a file's name while it is written.",
    "tenants.archive.form:seal_of": "A seal in the archive: whoever has the file has it.",
    "tenants.domains:add": "A token that its owner publishes in DNS; it proves nothing for another shop (test_domains).",
    "tenant_apps.payments.providers.testpay.adapter:TestpayAdapter._call": "A nonce of one request to the channel.",
}


def places() -> set[str]:
    """`module:function` of every call of a maker."""
    found: set[str] = set()
    for folder in ("src", "tenants", "shared_apps", "tenant_apps"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if not name.startswith(ELSEWHERE):
                module = name.removeprefix("src/").removesuffix(".py").replace("/", ".")
                found |= {f"{module}:{place}" for place in makers_in(path.read_text(encoding="utf-8"), module)}
    return found


def makers_in(source: str, module: str) -> set[str]:
    """The functions of a module that call a maker, by their names; `<module>` for what stands in none."""
    tree = ast.parse(source)
    own = {node.name: f"{module}.{node.name}" for node in tree.body if isinstance(node, ast.FunctionDef)}
    return set(_calls(tree, (), {**own, **_imported(tree)}))


def _imported(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for, wherever in the module it is imported."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            names |= {one.asname: one.name for one in node.names if one.asname}
    return names


def _calls(node: ast.AST, within: tuple[str, ...], imported: dict[str, str]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        inner = (*within, child.name) if named else within  # type: ignore[attr-defined]
        if isinstance(child, ast.Call) and _makes(child.func, imported):
            yield ".".join(within) or "<module>"
        yield from _calls(child, inner, imported)


def _makes(function: ast.expr, imported: dict[str, str]) -> bool:
    if isinstance(function, ast.Attribute) and function.attr in METHODS:
        return True
    first, _dot, rest = ast.unparse(function).partition(".")
    name = ".".join(filter(None, (imported.get(first, first), rest)))
    return name in MAKERS or name.startswith(MODULES)
