"""The main station's public site: what it is, plans, signup from the first field to the panel."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.db.context import in_main
from kameng.lib import clock, slugs
from kameng.lib.errors import DomainError, Missing
from kameng.lib.words import Sentence, in_english
from kameng.web.actors import client_ip
from kameng.web.transactions import own_transactions
from tenants import addresses, admission, answers, regions
from tenants import signup as signups
from tenants.forms import CodeForm, SignupForm, limit_words
from tenants.models import Plan, Signup, SignupStep
from tenants.provisioning import steps as provisioning_steps
from tenants.states import SignupState, StepState, SupplyLevel

TYPED = ("name", "slug", "email", "owner_name", "region")
ENTER_SALT = "kameng.signup.enter"


LEVEL_WORDS: dict[str, Sentence] = {
    SupplyLevel.BASIC: _lazy("Standard supply prices"),
    SupplyLevel.PRO: _lazy("Lower supply prices"),
    SupplyLevel.FLAGSHIP: _lazy("The lowest supply prices"),
}


def site_nav(request: HttpRequest) -> list[dict[str, Any]]:
    pages = (
        ("/", _("Overview")),
        ("/plans/", _("Plans")),
        ("/your-city/", _("Your city")),
        ("/login/", _("Main station log-in")),
    )
    return [{"label": label, "url": url, "active": request.path == url} for url, label in pages]


def plans() -> list[Plan]:
    return list(Plan.objects.filter(active=True))


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    context = {
        "site_nav": site_nav(request), "plans": _plan_cards(plans()), "base_domain": settings.BASE_DOMAIN
    }  # fmt: skip
    return render(request, "tenants/home.html", context)


@require_GET
def plan_list(request: HttpRequest) -> HttpResponse:
    return render(request, "tenants/plans.html", {"site_nav": site_nav(request), "plans": _plan_cards(plans())})


def _plan_cards(rows: list[Plan]) -> list[dict[str, Any]]:
    english = in_english()
    return [
        {
            "code": plan.code,
            "name": plan.name_en if english else plan.name_zh,
            "pitch": plan.pitch_en if english else plan.pitch_zh,
            "opening_fee_minor": plan.opening_fee_minor,
            "monthly_fee_minor": plan.monthly_fee_minor,
            "yearly_fee_minor": plan.yearly_fee_minor,
            "saved_minor": 12 * plan.monthly_fee_minor - plan.yearly_fee_minor if plan.yearly_fee_minor else 0,
            "deposit_minor": plan.deposit_minor,
            "trial_days": plan.trial_days if plan.has_trial else 0,
            "limits": limit_words(plan),
            "fee_percent": f"{plan.platform_fee_bps / 100:g}",
            "level": LEVEL_WORDS[plan.supply_level],
        }
        for plan in rows
    ]


def begin(request: HttpRequest) -> HttpResponse:
    """The form. What was typed stays through every refusal, the password included, and all refusals come at once."""
    rows = plans()
    language = get_language() or settings.LANGUAGE_CODE
    form = SignupForm(request.POST or None, plans=rows, language=language, initial=_initial(request))
    if form.is_bound:
        typed = {name: form.data.get(name, "") for name in (*TYPED, "password")}
        for field, problem in answers.problems(**typed).items():
            if field not in form.errors:
                form.add_error(field, problem)
    if request.method == "POST" and form.is_valid():
        try:
            admission.check_proof(
                challenge=request.POST.get("pow_challenge", ""), nonce=request.POST.get("pow_nonce", ""),
                now=clock.utc_now(),
            )  # fmt: skip
            admission.count_signup(ip=client_ip(request))
            data = form.cleaned_data
            started = signups.begin(
                name=data["name"],
                slug=data["slug"],
                plan_code=data["plan"],
                email=data["email"],
                password=data["password"],
                owner_name=data["owner_name"],
                preset=data["preset"],
                region=data["region"],
                accent=data["accent"],
                language=language,
                ip=client_ip(request),
            )
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            _remember(request, started.signup, started.token)
            return redirect("tenants:verify", started.signup.public_id)
    context = {
        "form": form,
        "site_nav": site_nav(request),
        "base_domain": settings.BASE_DOMAIN + settings.AUTHORITY,
        "challenge": admission.challenge(now=clock.utc_now()),
        "pow_bits": settings.POW_BITS,
        "cities": regions.book().suggestions(),
    }
    return render(request, "tenants/signup.html", context, status=422 if form.is_bound else 200)


def _initial(request: HttpRequest) -> dict[str, str]:
    """The plan that was chosen before, or all that an earlier signup of this browser said, but for its password."""
    earlier = request.GET.get("again", "")
    if earlier in request.session.get("signups", {}):
        row = mine(request, earlier)
        return {
            "name": row.name, "slug": row.slug, "plan": row.plan.code, "email": row.email, "preset": row.preset,
            "owner_name": row.owner_name, "accent": row.accent, "region": regions.book().label_of(row.region),
        }  # fmt: skip
    return {"plan": request.GET["plan"]} if request.GET.get("plan") else {}


@require_GET
def address(request: HttpRequest) -> HttpResponse:
    """Is the address free? A fragment beside the field, as it is typed."""
    raw = request.GET.get("slug", "").strip()
    if not raw:
        return HttpResponse("")
    problem = answers.address_problem(raw)
    offers = slugs.suggest(raw, lambda names: [n for n in names if addresses.is_taken(n)], 3) if problem else []
    context = {
        "problem": problem,
        "slug": raw.lower(),
        "offers": offers,
        "base_domain": settings.BASE_DOMAIN + settings.AUTHORITY,
    }
    return render(request, "tenants/_address.html", context)


def _remember(request: HttpRequest, signup: Signup, token: str) -> None:
    """The browser that began a signup may finish it."""
    request.session["signups"] = {**request.session.get("signups", {}), signup.public_id: token}


def mine(request: HttpRequest, public_id: str) -> Signup:
    """The signup that this browser began. Raises: Missing."""
    token = request.session.get("signups", {}).get(public_id)
    if not token:
        raise Missing(_("There is no such signup, or it was begun in another browser."))
    return signups.find(public_id, token)


@own_transactions
def verify(request: HttpRequest, public_id: str) -> HttpResponse:
    """The mail code. Its own transactions: a wrong try is counted whatever becomes of the request."""
    signup = mine(request, public_id)
    if signup.state not in (SignupState.VERIFYING, SignupState.EXPIRED):
        return redirect("tenants:progress", public_id)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            signups.verify(signup, form.cleaned_data["code"])
        except DomainError as error:
            form.add_error("code", str(error))
        else:
            return redirect("tenants:progress", public_id)
    return _verify_page(request, signup, form, status=422 if form.is_bound else 200)


def _verify_page(
    request: HttpRequest, signup: Signup, form: CodeForm, *, status: int = 200, not_sent: str = ""
) -> HttpResponse:
    sent = _("A new code is on its way. The one before it has ended.") if "sent" in request.GET else ""
    context = {
        "form": form, "signup": signup, "site_nav": site_nav(request), "mailbox": not settings.ENV.email_url,
        "sent": "" if form.is_bound else sent, "not_sent": not_sent,
    }  # fmt: skip
    return render(request, "tenants/verify.html", context, status=status)


@require_POST
@own_transactions
def resend(request: HttpRequest, public_id: str) -> HttpResponse:
    """A new code; a refusal stands on the page of the code, where it can be read beside what still works."""
    signup = mine(request, public_id)
    try:
        signups.resend(signup)
    except DomainError as refusal:
        if signup.state not in (SignupState.VERIFYING, SignupState.EXPIRED):
            return redirect("tenants:progress", public_id)
        return _verify_page(request, signup, CodeForm(), status=refusal.status, not_sent=str(refusal))
    return redirect(f"{reverse('tenants:verify', args=[public_id])}?sent=1")


@require_GET
def progress(request: HttpRequest, public_id: str) -> HttpResponse:
    """The shop being made, step by step. The fragment says when htmx asks for the next one; a finished one doesn't."""
    signup = mine(request, public_id)
    if signup.state == SignupState.VERIFYING:
        return redirect("tenants:verify", public_id)
    if signup.state in (SignupState.PAYING, SignupState.EXPIRED):
        return redirect("billing:pay", public_id)  # By name: the billing room lies above this one.
    done = signup.state == SignupState.LIVE
    context = {
        "signup": signup,
        "site_nav": site_nav(request),
        "steps": _step_views(signup),
        "ask_again_ms": signups.ask_again_ms(signup, clock.utc_now()),
        "done": done,
        "failed": signup.state == SignupState.FAILED,
        "address": f"{signup.substation.host}{settings.AUTHORITY}" if signup.substation else "",
    }
    template = "tenants/_progress.html" if getattr(request, "htmx", False) else "tenants/progress.html"
    return render(request, template, context)


STEP_WORDS = {
    "claim_schema": ("A room of your own in the database", "Nobody else's data is in it, and nobody else can look in."),
    "open_accounts": ("Your accounts in the ledger", "Every cent of every sale will be there."),
    "write_settings": ("Name, colour and language", ""),
    "create_owner": ("Your log-in", ""),
    "fill_shelves": ("The main station's products on your shelves", ""),
    "begin_subscription": ("Your plan", ""),
    "go_live": ("Open to the public", ""),
}


def _step_words() -> None:
    """Marks the words above for translation."""
    _("A room of your own in the database"), _("Nobody else's data is in it, and nobody else can look in.")
    _("Your accounts in the ledger"), _("Every cent of every sale will be there.")
    _("Name, colour and language"), _("Your log-in"), _("The main station's products on your shelves")
    _("Your plan"), _("Open to the public")


def _step_views(signup: Signup) -> list[dict[str, Any]]:
    rows = {step.name: step for step in SignupStep.objects.filter(signup=signup)}
    views = []
    for name, _step in provisioning_steps():
        row = rows.get(name)
        title, text = STEP_WORDS[name]
        took = ""
        if row is not None and row.finished_at and row.started_at and row.state == StepState.DONE:
            took = f"{max(1, round((row.finished_at - row.started_at).total_seconds() * 1000))} ms"
        views.append(
            {
                "state": (row.state if row else StepState.PENDING).lower(),
                "title": _(title),
                "text": _(text) if text else "",
                "aside": took,
            }
        )
    # Between two steps, and before the worker takes it up: something is under way all the same.
    waiting = [view for view in views if view["state"] == "pending"]
    moving = any(view["state"] in ("running", "failed") for view in views)
    if waiting and not moving and signup.state in (SignupState.VERIFIED, SignupState.PROVISIONING):
        waiting[0]["state"] = "running"
    return views


@require_POST
@own_transactions
def retry(request: HttpRequest, public_id: str) -> HttpResponse:
    signups.retry(mine(request, public_id))
    return redirect("tenants:progress", public_id)


@require_POST
def enter(request: HttpRequest, public_id: str) -> HttpResponse:
    """Hand the owner over to the new shop's host, logged in: a signed pass, good once and for two minutes."""
    signup = mine(request, public_id)
    substation = signup.substation
    if signup.state != SignupState.LIVE or substation is None:
        return redirect("tenants:progress", public_id)
    with in_main():
        entry = signing.dumps({"schema": substation.schema_name, "email": substation.owner_email}, salt=ENTER_SALT)
    # The shop is another host, which knows nothing of the language that was chosen here.
    return redirect(f"{substation.url}/enter/?{urlencode({'pass': entry, 'lang': get_language()})}")
