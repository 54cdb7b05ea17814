"""The words that scripts say, translated on the server and handed over in the page."""

from __future__ import annotations

from django.utils.translation import gettext

# Modules that a page may import as "kameng/<name>"; behaviours.js loads them when it finds their attribute.
MODULE_FILES = (
    "behaviours",
    "chart",
    "copy",
    "dialog",
    "find",
    "forms",
    "menu",
    "nav",
    "password",
    "passkey",
    "pow",
    "shortcuts",
    "stepper",
    "table",
    "theme",
    "toast",
    "upload",
    "when",
)


def script_words() -> dict[str, str]:
    """Key → words in the reader's language. `%(count)s` and the like are filled by the script."""
    return {
        "copied": gettext("Copied"),
        "copy_failed": gettext("Your browser refused to copy. Select the text and copy it by hand."),
        "leave": gettext("You have changes that are not saved."),
        "network_error": gettext("No answer came. Your entries are still here; try again in a moment."),
        "not_done": gettext("That was not done. Look at the page again and try once more."),
        "server_error": gettext("Something went wrong on our side. Nothing was changed; try again in a moment."),
        "dismiss": gettext("Dismiss"),
        "just_now": gettext("just now"),
        "min_ago": gettext("%(count)s min ago"),
        "h_ago": gettext("%(count)s h ago"),
        "d_ago": gettext("%(count)s d ago"),
        "in_min": gettext("in %(count)s min"),
        "in_h": gettext("in %(count)s h"),
        "in_d": gettext("in %(count)s d"),
        "selected": gettext("%(count)s selected"),
        "show": gettext("Show password"),
        "hide": gettext("Hide password"),
        "password_0": gettext("Too easy to guess. Make it longer."),
        "password_1": gettext("Weak. Add a few more words."),
        "password_2": gettext("Fair. A little longer is safer."),
        "password_3": gettext("Strong."),
        "password_4": gettext("Very strong."),
        "too_big": gettext("%(name)s is larger than %(limit)s MB."),
        "wrong_kind": gettext("%(name)s is not a kind of file that is taken here."),
        "uploading": gettext("Uploading %(percent)s%%"),
        "upload_read": gettext("Sent. Reading the file…"),
        "upload_failed": gettext("The upload broke off. Your file was not taken; send it again."),
        "find_none": gettext("Nothing of that name"),
        "pow_working": gettext("Checking that you are human… %(percent)s%%"),
        "pow_done": gettext("Checked"),
        "pow_failed": gettext("The check could not run. Reload the page and try again."),
    }
